package api

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/foodflow/foodflow/internal/demo"
)

// TestPatchOfNothing: a change that leaves a thing as it is, by naming nothing or
// what holds already, is answered with the same version and is no event; only the
// caller's version is still held.
func TestPatchOfNothing(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	w.call(token, "POST", opsPath+"batches", map[string]any{
		"key": "B-1", "line_id": demo.ID("line", demo.Bottling), "product_id": demo.ID("product", "water-500"), "unit": "bottle", "planned_quantity": 10,
		"planned_start": "2026-11-27T06:00:00+01:00", "lots_in": []any{map[string]any{"lot": "L-1"}},
	}).want(t, 201)
	w.call(token, "PATCH", opsPath+"lines/"+demo.Bottling, map[string]any{"ideal_rates": []any{map[string]any{"product": "water-500", "per_minute": 300}}}, "If-Match", "*").want(t, 200)
	routes := 0
	for _, r := range w.routes() {
		if r.method != http.MethodPatch {
			continue
		}
		routes++
		list := strings.TrimSuffix(r.path, "/{id}")
		item := w.call(token, "GET", list+"?limit=1", nil).want(t, 200).json(t)["items"].([]any)[0].(map[string]any)
		one := list + "/" + item["id"].(string)
		tag := w.call(token, "GET", one, nil).want(t, 200).header.Get("ETag")
		own := maps.Clone(item)
		for name := range item {
			if r.op.RequestBody.Content["application/json"].Schema.Properties[name] == nil {
				delete(own, name)
			}
		}
		if len(own) < 2 {
			t.Errorf("%s: nothing to echo in %v", list, item)
		}
		for _, patch := range []map[string]any{{}, own} {
			before := w.announced()
			a := w.call(token, "PATCH", one, patch, "If-Match", tag).want(t, 200)
			if a.header.Get("ETag") != tag || a.json(t)["version"] != item["version"] || w.announced() != before {
				t.Errorf("PATCH %s with %v: version %s after %s, %d events", one, patch, a.header.Get("ETag"), tag, w.announced()-before)
			}
		}
		w.call(token, "PATCH", one, "{}", "If-Match", `"999"`).want(t, 412)
		// The control: what does change something is a version and an event.
		text, before := "name", w.announced()
		if own[text] == nil {
			text = "note"
		}
		a := w.call(token, "PATCH", one, map[string]any{text: "Another"}, "If-Match", tag).want(t, 200)
		if a.header.Get("ETag") == tag || w.announced() != before+1 {
			t.Errorf("PATCH %s with another %s: version %s after %s, %d events", one, text, a.header.Get("ETag"), tag, w.announced()-before)
		}
	}
	if routes < 8 {
		t.Errorf("only %d routes", routes)
	}
}
