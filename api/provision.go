package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/job"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/tenancy"
)

type newTenant struct {
	Key   string `json:"key" pattern:"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$" example:"acme"`
	Name  string `json:"name" minLength:"1" maxLength:"200" example:"Acme Foods"`
	Admin struct {
		Email    string `json:"email" format:"email" maxLength:"254" example:"ana@acme.example"`
		Name     string `json:"name" minLength:"1" maxLength:"200" example:"Ana Ruiz"`
		Password string `json:"password" minLength:"10" maxLength:"256" format:"password"`
	} `json:"admin" doc:"the tenant's first admin"`
}

type provisionIn struct {
	Prefer string `header:"Prefer" maxLength:"200" doc:"respond-async (RFC 7240): answer 202 with the job that makes the tenant"`
	Body   newTenant
}

// provisionOut is the tenant (201), or the job that makes it (202).
type provisionOut struct {
	Status   int
	ETag     string `header:"ETag"`
	Location string `header:"Location"`
	Applied  string `header:"Preference-Applied"`
	Body     any
}

// asynchronous reads the header Prefer.
func asynchronous(prefer string) bool {
	for p := range strings.SplitSeq(prefer, ",") {
		if strings.EqualFold(strings.TrimSpace(p), "respond-async") {
			return true
		}
	}
	return false
}

// documented gives the body of a status beside the default one.
func documented[T any](s *Server, text string) *huma.Response {
	schema := s.huma.OpenAPI().Components.Schemas.Schema(typeOf[T](), true, "")
	return &huma.Response{Description: text, Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}}
}

func (s *Server) provisionRoute() {
	op := tenantOp(http.MethodPost, "", "create-tenant", "Make a tenant with its schema and first admin")
	op.DefaultStatus = http.StatusCreated
	op.Responses = map[string]*huma.Response{
		"201": documented[masterdata.Tenant](s, "The tenant"),
		"202": documented[job.Job](s, "The job that makes the tenant; Location is where to look at it"),
	}
	handle(s, admins(), op, func(ctx context.Context, in *provisionIn) (*provisionOut, error) {
		if err := s.operator(ctx); err != nil {
			return nil, err
		}
		return s.provision(ctx, in)
	})
}

func (s *Server) provision(ctx context.Context, in *provisionIn) (*provisionOut, error) {
	n := in.Body
	found, err := s.Store.Tenant(ctx, n.Key)
	if err == nil && found.State != masterdata.TenantProvisioning {
		return nil, fault.New(fault.Conflict, "another tenant already has this key")
	}
	hash, err := s.Auth.HashPassword(ctx, n.Admin.Password)
	if err != nil {
		return nil, err
	}
	if err := s.Store.Audit(ctx, principal(ctx).Actor(), "TenantCreationRequested", "tenant/"+n.Key, map[string]string{"key": n.Key, "name": n.Name}); err != nil {
		return nil, err
	}
	if asynchronous(in.Prefer) {
		id := plant.NewID()
		if found != nil {
			id = found.ID // the one of an interrupted call
		}
		j, err := s.Jobs.Ask(ctx, job.Request{
			Kind: tenancy.KindProvision, Tenant: id, TenantKey: n.Key, Actor: principal(ctx).Actor().Name,
			Input: tenancy.Provision{Tenant: id, Key: n.Key, Name: n.Name, AdminEmail: n.Admin.Email, AdminName: n.Admin.Name, AdminHash: hash},
		})
		if err != nil {
			return nil, err
		}
		return &provisionOut{Status: http.StatusAccepted, Location: jobsPath + "/" + j.ID.String(), Applied: "respond-async", Body: j}, nil
	}
	admin := masterdata.User{UserFields: masterdata.UserFields{Email: n.Admin.Email, Name: n.Admin.Name}, Hash: hash}
	t, err := s.Store.Provision(ctx, s.Provisioner, masterdata.NewTenant{Key: n.Key, Name: n.Name, Admin: admin})
	if err != nil {
		return nil, err
	}
	return &provisionOut{Status: http.StatusCreated, ETag: etag(t.Version), Location: tenantsPath + "/" + t.ID.String(), Body: t}, nil
}
