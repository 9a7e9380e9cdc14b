package api

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/foodflow/foodflow/internal/masterdata"
)

// roleItem is a role and what it may call.
type roleItem struct {
	Role   string      `json:"role" enum:"admin,manager,operator,viewer,ingest"`
	Routes []roleRoute `json:"routes" nullable:"false"`
}

type roleRoute struct {
	Method    string `json:"method" example:"GET"`
	Path      string `json:"path" example:"/api/v1/plant-ops/lines"`
	Operation string `json:"operation" doc:"operationId of the document" example:"list-line"`
}

// roleRoutes shows the table of roles and routes, read from the declarations
// that the guard itself goes by.
func (s *Server) roleRoutes() {
	type rolesOut struct{ Body Page[roleItem] }
	op := huma.Operation{Method: http.MethodGet, Path: "/api/v1/roles", OperationID: "list-roles", Summary: "Roles and the routes that each may call", Tags: []string{"users"}}
	handle(s, readers(), op, func(context.Context, *struct{}) (*rolesOut, error) {
		out := &rolesOut{Page[roleItem]{Items: make([]roleItem, 0, len(masterdata.Roles()))}}
		for _, role := range masterdata.Roles() {
			out.Body.Items = append(out.Body.Items, roleItem{role, s.routesOf(role)})
		}
		return out, nil
	})
}

func (s *Server) routesOf(role string) []roleRoute {
	out := []roleRoute{}
	paths := s.huma.OpenAPI().Paths
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		p := paths[path]
		for _, op := range []*huma.Operation{p.Get, p.Post, p.Patch, p.Delete} {
			if op == nil {
				continue
			}
			if roles, _ := op.Extensions[rolesExtension].([]string); roles == nil || slices.Contains(roles, role) {
				out = append(out, roleRoute{op.Method, path, op.OperationID})
			}
		}
	}
	return out
}
