package api

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/foodflow/foodflow/internal/fault"
)

// known refuses what the route doesn't take: parameters, a body, text that no
// store could hold. A filter with a wrong name, or a time sent to a route that
// uses its own, would otherwise be passed over and seem to have been heeded.
func (s *Server) known(ctx huma.Context, next func(huma.Context)) {
	r, w := humachi.Unwrap(ctx)
	items := unreadable(ctx)
	takes := queryParameters(ctx.Operation())
	for name, values := range r.URL.Query() {
		switch {
		case !slices.Contains(takes, name):
			items = append(items, fault.Item{Location: "query." + strings.ToValidUTF8(name, "?"), Rule: "unknown", Message: unknownMessage(takes)})
		case name != "cursor" && slices.ContainsFunc(values, notText): // a cursor has a check of its own
			items = append(items, fault.Item{Location: name, Rule: "text", Message: textMessage})
		}
	}
	if ctx.Operation().RequestBody == nil && r.Method != http.MethodGet && !bodyless(r) {
		items = append(items, fault.Item{Location: "body", Rule: "unknown", Message: "the route takes no body"})
	}
	if len(items) == 0 {
		next(ctx)
		return
	}
	slices.SortFunc(items, func(a, b fault.Item) int { return strings.Compare(a.Location, b.Location) })
	s.m.refused.WithLabelValues("parameter").Inc()
	fault.Problem(w, fault.NewInvalid(items...))
}

const textMessage = "must be UTF-8 without control characters"

// notText says whether a parameter holds what is no text: Postgres would refuse
// it as an error of ours.
func notText(v string) bool {
	return !utf8.ValidString(v) || strings.ContainsFunc(v, func(c rune) bool { return c < ' ' || c == 0x7f })
}

// unreadable names the parts of the path and the headers that are no text.
func unreadable(ctx huma.Context) (items []fault.Item) {
	for _, p := range ctx.Operation().Parameters {
		switch {
		case p.In == "path" && notText(ctx.Param(p.Name)):
			items = append(items, fault.Item{Location: "path." + p.Name, Rule: "text", Message: textMessage})
		case p.In == "header" && notText(ctx.Header(p.Name)):
			items = append(items, fault.Item{Location: p.Name, Rule: "text", Message: textMessage})
		}
	}
	return items
}

// bodyless says whether there is nothing in the body: some clients send {} or
// null where there is nothing to say.
func bodyless(r *http.Request) bool {
	const enough = 64
	b, err := io.ReadAll(io.LimitReader(r.Body, enough))
	if err != nil {
		return false
	}
	b = bytes.TrimSpace(b)
	return len(b) == 0 || bytes.Equal(b, []byte("{}")) || bytes.Equal(b, []byte("null"))
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
