package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/foodflow/foodflow/internal/masterdata"
)

const auditPath = "/api/v1/audit"

type auditIn struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor string `query:"cursor" maxLength:"1024" doc:"next_cursor of the page before"`
}

// auditCheck is what a walk along the chain found.
type auditCheck struct {
	Rows   int64 `json:"rows"`
	Intact bool  `json:"intact"`
	Broken int64 `json:"broken_at,omitempty" doc:"seq of the first row that doesn't fit the chain or is missing"`
}

func (s *Server) auditRoutes() {
	op := huma.Operation{Method: http.MethodGet, Path: auditPath, OperationID: "list-audit", Summary: "Read the audit log, newest first", Tags: []string{"audit"}}
	type auditOut struct {
		Body Page[*masterdata.AuditRow]
	}
	handle(s, admins(), op, func(ctx context.Context, in *auditIn) (*auditOut, error) {
		who := principal(ctx)
		c := s.cursors(who.Tenant.String(), auditPath)
		position, err := c.read(in.Cursor)
		if err != nil {
			return nil, err
		}
		before := int64(0)
		if position != "" {
			if before, err = strconv.ParseInt(position, 10, 64); err != nil {
				return nil, fmt.Errorf("reading cursor: %w", err)
			}
		}
		rows, more, err := s.Store.AuditLog(ctx, who.Tenant, before, in.Limit)
		if err != nil {
			return nil, err
		}
		out := &auditOut{Page[*masterdata.AuditRow]{Items: rows}}
		if len(rows) > 0 {
			out.Body.NextCursor = c.make(more, strconv.FormatInt(rows[len(rows)-1].Seq, 10))
		}
		return out, nil
	})
	check := huma.Operation{Method: http.MethodGet, Path: auditPath + "/check", OperationID: "check-audit", Summary: "Walk the audit log's hash chain", Tags: []string{"audit"}}
	check.Description = "A changed or missing row breaks the chain from there on; rows cut off at its end, and a chain that was written anew, are found by a note of its end that is kept elsewhere in the database. Who can change both can hide it: compare with what an earlier check said."
	type checkOut struct{ Body auditCheck }
	handle(s, admins(), check, func(ctx context.Context, _ *struct{}) (*checkOut, error) {
		rows, broken, err := s.Store.VerifyAudit(ctx, principal(ctx).Tenant)
		if err != nil {
			return nil, err
		}
		return &checkOut{auditCheck{Rows: rows, Intact: broken == 0, Broken: broken}}, nil
	})
}
