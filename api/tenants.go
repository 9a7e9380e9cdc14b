package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/masterdata"
)

const tenantsPath = "/api/v1/tenants"

// operator refuses everyone but the admins of the tenant that runs the
// installation.
func (s *Server) operator(ctx context.Context) error {
	t, ok := s.Directory.Tenant(principal(ctx).Tenant)
	if !ok || s.cfg.OperatorTenant == "" || t.Key != s.cfg.OperatorTenant {
		return fault.New(fault.Forbidden, "only the admins of the installation manage tenants")
	}
	return nil
}

func tenantOp(method, suffix, id, summary string) huma.Operation {
	return huma.Operation{
		Method: method, Path: tenantsPath + suffix, OperationID: id, Summary: summary, Tags: []string{"tenants"},
		Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError},
	}
}

// tenantList has no order to choose: it is by key.
type tenantList struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor string `query:"cursor" maxLength:"1024" doc:"next_cursor of the page before"`
}

type tenantIn struct {
	ID string `path:"id" maxLength:"200" doc:"id or key"`
}

func (s *Server) tenantRoutes() {
	// The caller's own tenant, or all of them for the installation's admins.
	handle(s, admins(), tenantOp(http.MethodGet, "", "list-tenants", "List tenants"), func(ctx context.Context, in *tenantList) (*listOut[masterdata.Tenant], error) {
		own := principal(ctx).Tenant
		c := s.cursors(own.String(), tenantsPath)
		after, err := c.read(in.Cursor)
		if err != nil {
			return nil, err
		}
		if s.operator(ctx) != nil {
			t, err := s.Store.Tenant(ctx, own.String())
			if err != nil {
				return nil, err
			}
			return &listOut[masterdata.Tenant]{Page[*masterdata.Tenant]{Items: []*masterdata.Tenant{t}}}, nil
		}
		ts, more, err := s.Store.Tenants(ctx, after, in.Limit)
		if err != nil {
			return nil, err
		}
		out := &listOut[masterdata.Tenant]{Page[*masterdata.Tenant]{Items: ts}}
		if len(ts) > 0 {
			out.Body.NextCursor = c.make(more, ts[len(ts)-1].Key)
		}
		return out, nil
	})
	handle(s, admins(), tenantOp(http.MethodGet, "/{id}", "get-tenant", "Read a tenant"), func(ctx context.Context, in *oneIn) (*oneOut[masterdata.Tenant], error) {
		t, err := s.tenant(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		return &oneOut[masterdata.Tenant]{etag(t.Version), t}, nil
	})
	s.provisionRoute()
	s.eraseRoutes()
	for verb, do := range map[string]func(context.Context, string) (*masterdata.Tenant, error){"suspend": s.Store.Suspend, "resume": s.Store.Resume} {
		handle(s, admins(), tenantOp(http.MethodPost, "/{id}/"+verb, verb+"-tenant", strings.ToUpper(verb[:1])+verb[1:]+" a tenant's keys and log-ins"), func(ctx context.Context, in *tenantIn) (*oneOut[masterdata.Tenant], error) {
			if err := s.operator(ctx); err != nil {
				return nil, err
			}
			t, err := s.Store.Tenant(ctx, in.ID)
			if err != nil {
				return nil, err
			}
			if err := s.audit(ctx, "Tenant"+strings.ToUpper(verb[:1])+verb[1:]+"Requested", t); err != nil {
				return nil, err
			}
			if t, err = do(ctx, in.ID); err != nil {
				return nil, err
			}
			return &oneOut[masterdata.Tenant]{etag(t.Version), t}, nil
		})
	}
}
