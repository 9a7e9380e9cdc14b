package api

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
)

// conforms holds an answer against the document: every answer of every test is
// one that the document promises.
func (w *world) conforms(method, target string, a answer) {
	w.t.Helper()
	path, _, _ := strings.Cut(target, "?")
	at := chi.NewRouteContext()
	if !w.s.router.Match(at, method, path) {
		return
	}
	item := w.s.OpenAPI().Paths[at.RoutePattern()]
	if item == nil {
		return // a page, not of the document
	}
	op := map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PATCH": item.Patch, "DELETE": item.Delete}[method]
	if op == nil {
		return
	}
	res := op.Responses[strconv.Itoa(a.status)]
	if res == nil {
		w.t.Errorf("%s %s answers %d, which the document doesn't know", method, at.RoutePattern(), a.status)
		return
	}
	if fixed := millis(a.body, w.s.times); !bytes.Equal(fixed, a.body) {
		w.t.Errorf("%s %s: a time without milliseconds in %s", method, at.RoutePattern(), a.body)
	}
	for kind, m := range res.Content {
		if kind == "text/event-stream" {
			continue // TestStream reads them
		}
		var v any
		must(w.t, json.Unmarshal(a.body, &v))
		found := &huma.ValidateResult{}
		huma.Validate(w.s.OpenAPI().Components.Schemas, m.Schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, v, found)
		if len(found.Errors) > 0 {
			w.t.Errorf("%s %s: %d does not fit the document: %v in %s", method, at.RoutePattern(), a.status, found.Errors, a.body)
		}
	}
}
