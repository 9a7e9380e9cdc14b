package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/foodflow/foodflow/internal/fault"
)

// exemplify gives each body of the document an example, made of the examples of
// its fields, so that an example can't go on to show what the type no longer
// has. A request's example names what is required and what has an example; an
// answer's shows everything.
func (s *Server) exemplify() {
	doc := s.huma.OpenAPI()
	e := exemplar{doc.Components.Schemas}
	for _, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Patch, item.Delete} {
			if op == nil {
				continue
			}
			if op.RequestBody != nil {
				for kind, m := range op.RequestBody.Content {
					m.Example = e.request(m.Schema)
					if kind == "application/merge-patch+json" || op.Method == http.MethodPatch {
						m.Example = patchExample(m.Example)
					}
				}
			}
			for status, r := range op.Responses {
				code, err := strconv.Atoi(status)
				for _, m := range r.Content {
					if err == nil && code < 300 {
						m.Example = e.answer(m.Schema, 0)
					} else if err == nil {
						m.Example = problemExample(code)
					}
				}
			}
		}
	}
}

// patchExample shows one field: a patch names what changes.
func patchExample(whole any) any {
	o, ok := whole.(map[string]any)
	if !ok {
		return whole
	}
	for _, name := range []string{"name", "note"} {
		if v, ok := o[name]; ok {
			return map[string]any{name: v}
		}
	}
	return o
}

func problemExample(status int) any {
	err := fault.New(kindOfStatus(status), "")
	if err.Kind == fault.Invalid {
		err = fault.NewInvalid(fault.Item{Location: "name", Rule: "length", Message: "must have 1 to 200 characters"})
	}
	doc, _ := fault.Describe(err)
	text, _ := json.Marshal(doc) // a struct of texts and numbers
	var out any
	_ = json.Unmarshal(text, &out)
	return out
}

// exemplar makes examples of schemas.
type exemplar struct{ registry huma.Registry }

func (e exemplar) resolve(s *huma.Schema) *huma.Schema {
	if s.Ref != "" {
		return e.registry.SchemaFromRef(s.Ref)
	}
	return s
}

func (e exemplar) request(s *huma.Schema) any {
	s = e.resolve(s)
	if len(s.Examples) > 0 || s.Type != huma.TypeObject {
		return e.answer(s, 0)
	}
	o := map[string]any{}
	for name, p := range s.Properties {
		required := slices.Contains(s.Required, name)
		if inner := e.resolve(p); required || len(p.Examples) > 0 || inner.Type == huma.TypeArray && inner.Items != nil && e.telling(inner.Items) {
			o[name] = e.part(p)
		}
	}
	return o
}

// part is a field of a request: what it holds is a request too.
func (e exemplar) part(s *huma.Schema) any {
	s = e.resolve(s)
	switch {
	case len(s.Examples) > 0:
		return s.Examples[0]
	case s.Type == huma.TypeArray:
		return []any{e.part(s.Items)}
	case s.Type == huma.TypeObject && len(s.Properties) > 0:
		return e.request(s)
	}
	return e.answer(s, 0)
}

// telling says whether a list's items are objects with examples of their own.
func (e exemplar) telling(items *huma.Schema) bool {
	for _, p := range e.resolve(items).Properties {
		if len(p.Examples) > 0 {
			return true
		}
	}
	return false
}

// answer shows every field, down to a depth that no answer of ours passes.
func (e exemplar) answer(s *huma.Schema, depth int) any {
	s = e.resolve(s)
	switch {
	case len(s.Examples) > 0:
		return s.Examples[0]
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Default != nil:
		return s.Default
	case len(s.OneOf) > 0:
		return e.answer(s.OneOf[0], depth)
	}
	switch s.Type {
	case huma.TypeObject:
		o := map[string]any{}
		if depth > 8 {
			return o
		}
		for name, p := range s.Properties {
			o[name] = e.answer(p, depth+1)
		}
		if of, ok := s.AdditionalProperties.(*huma.Schema); ok {
			o["key"] = e.answer(of, depth+1)
		}
		return o
	case huma.TypeArray:
		return []any{e.answer(s.Items, depth+1)}
	case huma.TypeInteger, huma.TypeNumber:
		return numberExample(s)
	case huma.TypeBoolean:
		return true
	case huma.TypeString:
		return textExample(s)
	}
	return map[string]any{}
}

func numberExample(s *huma.Schema) any {
	switch {
	case s.Minimum != nil:
		return *s.Minimum
	case s.ExclusiveMinimum != nil:
		return *s.ExclusiveMinimum + 1
	}
	return 1
}

func textExample(s *huma.Schema) any {
	switch s.Format {
	case "uuid":
		return "01937b5e-8a0c-7c3e-9a53-1f0c2b7d4e60"
	case "date-time":
		return "2026-11-24T06:00:00.000Z"
	case "date":
		return "2026-01-05"
	case "password":
		return "correct horse battery staple"
	case "email":
		return "ana@acme.example"
	}
	if s.ContentEncoding == "base64" {
		return "AAAA"
	}
	text := "text"
	if s.MinLength != nil && *s.MinLength > len(text) {
		text = strings.Repeat(text, *s.MinLength/len(text)+1)
	}
	return text
}
