package api

import (
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/foodflow/foodflow/internal/fault"
)

// known refuses parameters that the route doesn't take. A filter with a wrong
// name would otherwise be passed over, and everything be answered as if it
// matched.
func (s *Server) known(ctx huma.Context, next func(huma.Context)) {
	r, w := humachi.Unwrap(ctx)
	if r.URL.RawQuery == "" {
		next(ctx)
		return
	}
	takes := queryParameters(ctx.Operation())
	var items []fault.Item
	for name := range r.URL.Query() {
		if !slices.Contains(takes, name) {
			items = append(items, fault.Item{Location: "query." + name, Rule: "unknown", Message: unknownMessage(takes)})
		}
	}
	if len(items) == 0 {
		next(ctx)
		return
	}
	slices.SortFunc(items, func(a, b fault.Item) int { return strings.Compare(a.Location, b.Location) })
	s.m.refused.WithLabelValues("parameter").Inc()
	fault.Problem(w, fault.NewInvalid(items...))
}

func unknownMessage(takes []string) string {
	if len(takes) == 0 {
		return "the route takes no parameters"
	}
	return "the route takes " + strings.Join(takes, ", ")
}

// queryParameters names what a route takes in its query.
func queryParameters(op *huma.Operation) []string {
	var names []string
	for _, p := range op.Parameters {
		if p.In == "query" {
			names = append(names, p.Name)
		}
	}
	return names
}
