package api

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
)

// TestNoPropertyTooMuch is promise S3 on every route that takes a body: each
// property that any answer has, and columns that none shows, is put beside the
// right ones, at the top and in every object within. What isn't the route's is
// refused, and nothing changes. The control is a property that is.
func TestNoPropertyTooMuch(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	ids := w.things(token)
	before := w.snapshot(token)
	names := w.properties()
	routes, tried, taken := 0, 0, 0
	for _, r := range w.routes() {
		if r.op.RequestBody == nil || r.op.RequestBody.Content["application/json"] == nil {
			continue
		}
		routes++
		schema := r.op.RequestBody.Content["application/json"].Schema
		path := w.fill(r.path, ids)
		w.places(schema, w.body(r), func(known map[string]*huma.Schema, put func(name string, v any) (whole any)) {
			for _, name := range names {
				if known[name] != nil {
					// Decoders of Go take this for the name as it should be.
					name = strings.ToUpper(name)
				}
				if known[name] != nil {
					continue
				}
				tried++
				a := w.call(token, r.method, path, put(name, "x"), "If-Match", "*")
				if a.status != http.StatusUnprocessableEntity || !strings.Contains(string(a.body), name) {
					taken++
					t.Errorf("%s %s with %s: %d %s", r.method, r.path, name, a.status, a.body)
				}
			}
		})
	}
	if after := w.snapshot(token); after != before {
		t.Error("something has changed")
	}
	t.Logf("%d routes with a body, %d properties too much, taken %d", routes, tried, taken)
	if routes < 20 || tried < 2000 {
		t.Errorf("%d routes and %d properties: the document lost some", routes, tried)
	}
	w.call(token, http.MethodPatch, opsPath+"lines/"+ids["lines"], map[string]any{"name": "Other"}, "If-Match", "*").want(t, http.StatusOK)
	if w.snapshot(token) == before {
		t.Error("the control: a change is not seen")
	}
}

// properties are the names of all properties of all answers, and of columns that
// stay inside.
func (w *world) properties() []string {
	names := map[string]bool{"password_hash": true, "hash": true, "tenant_id": true, "role_name": true, "schema_name": true, "prev": true, "__proto__": true}
	var add func(s *huma.Schema)
	seen := map[*huma.Schema]bool{}
	add = func(s *huma.Schema) {
		if s = w.resolved(s); s == nil || seen[s] {
			return
		}
		seen[s] = true
		for name, p := range s.Properties {
			names[name] = true
			add(p)
		}
		add(s.Items)
	}
	for _, r := range w.routes() {
		for _, a := range r.op.Responses {
			for _, m := range a.Content {
				add(m.Schema)
			}
		}
	}
	delete(names, "$schema") // names the schema of a body and changes nothing
	return slices.Sorted(maps.Keys(names))
}

func (w *world) resolved(s *huma.Schema) *huma.Schema {
	if s != nil && s.Ref != "" {
		return w.s.OpenAPI().Components.Schemas.SchemaFromRef(s.Ref)
	}
	return s
}

// places calls fn for every object of a body whose properties are listed; put
// gives the whole body with one more property there.
func (w *world) places(s *huma.Schema, body any, fn func(known map[string]*huma.Schema, put func(name string, v any) any)) {
	var walk func(s *huma.Schema, at any)
	walk = func(s *huma.Schema, at any) {
		s = w.resolved(s)
		switch at := at.(type) {
		case map[string]any:
			if s.AdditionalProperties != nil && s.AdditionalProperties != false {
				return
			}
			fn(s.Properties, func(name string, v any) any {
				at[name] = v
				defer delete(at, name)
				text, err := json.Marshal(body)
				must(w.t, err)
				return string(text)
			})
			for name, v := range at {
				walk(s.Properties[name], v)
			}
		case []any:
			if len(at) > 0 {
				walk(s.Items, at[0])
			}
		}
	}
	walk(s, body)
}
