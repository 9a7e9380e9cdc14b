package api

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/foodflow/foodflow/internal/fault"
)

// TestRefusalsNameFieldAndRule: a body that breaks rules is told each field and
// rule by name, not in words alone.
func TestRefusalsNameFieldAndRule(t *testing.T) {
	w := newWorld(t)
	a := w.call(w.admin(), http.MethodPost, "/api/v1/plant-ops/sensors", map[string]any{
		"key": "", "name": 7, "no_such_field": 1, "detect": "perhaps", "unit": "degC",
	})
	if a.status != http.StatusUnprocessableEntity {
		t.Fatalf("%d %s", a.status, a.body)
	}
	got := map[string]string{}
	for _, x := range a.json(t)["errors"].([]any) {
		it := x.(map[string]any)
		got[it["location"].(string)] = it["rule"].(string)
	}
	want := map[string]string{"key": "min_length", "name": "type", "no_such_field": "unknown", "detect": "enum", "kind": "required"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("named %v, want %v: %s", got, want, a.body)
	}
}

// TestUnknownWordsKeepTheirMessage: a rule that huma words otherwise than today
// is "schema", with its message.
func TestUnknownWordsKeepTheirMessage(t *testing.T) {
	want := fault.Item{Location: "x", Rule: "schema", Message: "is odd"}
	if got := item(&huma.ErrorDetail{Location: "body.x", Message: "is odd"}); got != want {
		t.Errorf("got %+v", got)
	}
}
