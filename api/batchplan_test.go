package api

import (
	"fmt"
	"testing"

	"github.com/foodflow/foodflow/internal/demo"
)

// TestPlanOfAnEndedBatch: once a batch has ended, its plan is refused with 409 and
// each field by name; what was made and used may be put right. A batch that is
// planned or running is the control.
func TestPlanOfAnEndedBatch(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	plan := map[string]any{"planned_quantity": 20, "planned_start": "2026-11-27T06:00:00Z"}
	rest := map[string]any{
		"actual_quantity": 9, "scrap_quantity": 1, "currency": "CHF", "labour_cost": 1, "material_cost": 2, "scrap_cost": 3,
		"lots_in": []any{map[string]any{"lot": "L-1"}}, "lots_out": []any{map[string]any{"lot": "L-2"}}, "note": "counted again",
	}
	for name, moves := range map[string][]string{"planned": nil, "running": {"start"}, "completed": {"start", "complete"}, "aborted": {"abort"}, "broken-off": {"start", "abort"}} {
		one := opsPath + "batches/" + name
		w.call(token, "POST", opsPath+"batches", map[string]any{
			"key": name, "line_id": demo.ID("line", demo.Bottling), "product_id": demo.ID("product", "water-500"), "unit": "bottle", "planned_quantity": 10,
		}).want(t, 201)
		for _, verb := range moves {
			var body any
			if verb == "complete" {
				body = map[string]any{"actual_quantity": 10, "scrap_quantity": 0}
			}
			w.call(token, "POST", one+"/"+verb, body).want(t, 200)
		}
		ended := len(moves) > 0 && moves[len(moves)-1] != "start"
		for field, v := range plan {
			a := w.call(token, "PATCH", one, map[string]any{field: v, "note": "replanned"}, "If-Match", "*")
			if !ended {
				a.want(t, 200)
				continue
			}
			items := a.want(t, 409).json(t)["errors"].([]any)
			if it := items[0].(map[string]any); len(items) != 1 || it["location"] != field || it["rule"] != "state" {
				t.Errorf("%s: %s is refused as %s", name, field, a.body)
			}
		}
		for field, v := range rest {
			w.call(token, "PATCH", one, map[string]any{field: v}, "If-Match", "*").want(t, 200)
		}
		want := 20.0
		if ended {
			want = 10
		}
		if got := w.call(token, "GET", one, nil).want(t, 200).json(t); got["planned_quantity"] != want || got["note"] != "counted again" {
			t.Errorf("%s: %v", name, got)
		}
		if name == "running" { // the line runs one at a time
			w.call(token, "POST", one+"/abort", nil).want(t, 200)
		}
	}
	for _, field := range []string{"key", "line_id", "product_id", "unit"} { // as before
		v := fmt.Sprint(demo.ID("line", "none"))
		w.call(token, "PATCH", opsPath+"batches/completed", map[string]any{field: v[:20]}, "If-Match", "*").want(t, 422)
	}
}
