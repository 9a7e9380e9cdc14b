package api

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/foodflow/foodflow/internal/demo"
)

// TestEveryRouteTakesAnyText: what is no text, wherever it stands, is the
// caller's mistake and is named; Postgres would refuse it as an error of ours.
func TestEveryRouteTakesAnyText(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	ids := w.things(token)
	named := func(r route, path, location string) {
		t.Helper()
		if a := w.call(token, r.method, path, nil, "If-Match", "*"); a.status != 422 || !strings.Contains(string(a.body), fmt.Sprintf(`"location":%q,"rule":"text"`, location)) {
			t.Errorf("%s %s: %d %s", r.method, path, a.status, a.body)
		}
	}
	asked, bodies := 0, 0
	for _, r := range w.routes() {
		for _, bad := range []string{"%00", "%FF"} {
			if strings.Contains(r.path, "{id}") {
				named(r, strings.Replace(r.path, "{id}", bad, 1), "path.id")
				asked++
			}
			for _, p := range r.op.Parameters {
				if p.In == "query" && p.Name != "cursor" && p.Schema.Type == "string" && p.Schema.Format == "" && len(p.Schema.Enum) == 0 && p.Schema.Pattern == "" {
					named(r, w.fill(r.path, ids)+"?"+p.Name+"="+bad, p.Name)
					asked++
				}
			}
		}
		for _, body := range spoilt(w.body(r)) {
			a := w.call(token, r.method, w.fill(r.path, ids), body, "If-Match", "*")
			if a.status != 422 || !strings.Contains(string(a.body), `"rule":"text"`) {
				t.Errorf("%s %s with %v: %d %s", r.method, r.path, body, a.status, a.body)
			}
			bodies++
		}
	}
	t.Logf("%d parameters, %d bodies", asked, bodies)
	if asked < 120 || bodies < 60 {
		t.Errorf("only %d parameters, %d bodies", asked, bodies)
	}
}

// TestEveryHeaderIsText: the same of the headers that routes take.
func TestEveryHeaderIsText(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	ids := w.things(token)
	asked := 0
	for _, r := range w.routes() {
		for _, p := range r.op.Parameters {
			if p.In != "header" {
				continue
			}
			for _, bad := range []string{"\xff\xfe", "a\x01"} {
				asked++
				a := w.call(token, r.method, w.fill(r.path, ids), nil, "If-Match", "*", p.Name, bad)
				if a.status != 422 || !strings.Contains(string(a.body), fmt.Sprintf(`"location":%q,"rule":"text"`, p.Name)) {
					t.Errorf("%s %s with a %s that is no text: %d %s", r.method, r.path, p.Name, a.status, a.body)
				}
			}
		}
	}
	if asked < 50 {
		t.Errorf("only %d headers", asked)
	}
	t.Logf("%d headers", asked)
}

// TestManyFaultsMakeAShortAnswer: a megabyte of entries that each break several
// rules is refused in a few words.
func TestManyFaultsMakeAShortAnswer(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	body := func(n int) string {
		return `{"key":"x","name":"x","time_zone":"UTC","cycle_days":7,"anchor":"2026-01-05","shifts":[{}` + strings.Repeat(",{}", n-1) + `]}`
	}
	for n, want := range map[int]string{30_000: `"errors_total":120001`, 300_000: `"location":"body","rule":"max_items"`} {
		a := w.call(token, http.MethodPost, opsPath+"calendars", body(n))
		if a.status != 422 || len(a.body) > 10_000 || !strings.Contains(string(a.body), want) {
			t.Errorf("%d entries: %d, %d bytes: %.300s", n, a.status, len(a.body), a.body)
		}
	}
}

// spoilt gives v once for each of its texts, that one with a zero in it.
func spoilt(v any) (out []any) {
	switch x := v.(type) {
	case string:
		return []any{x + "\x00"}
	case map[string]any:
		for name, part := range x {
			for _, bad := range spoilt(part) {
				c := maps.Clone(x)
				c[name] = bad
				out = append(out, c)
			}
		}
	case []any:
		for _, part := range x {
			for _, bad := range spoilt(part) {
				out = append(out, []any{bad})
			}
		}
	}
	return out
}

// TestARouteWithoutABodyTakesNone: a time that is sent to a route that uses its
// own would seem to have been heeded. Clients that always send an object may.
func TestARouteWithoutABodyTakesNone(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	ids := w.things(token)
	n := 0
	for _, r := range w.routes() {
		if r.method == http.MethodGet || r.op.RequestBody != nil {
			continue
		}
		n++
		a := w.call(token, r.method, w.fill(r.path, ids), map[string]any{"started_at": "2026-11-24T06:00:00Z"}, "If-Match", "*")
		if a.status != 422 || !strings.Contains(string(a.body), `"location":"body","rule":"unknown"`) {
			t.Errorf("%s %s with a body: %d %s", r.method, r.path, a.status, a.body)
		}
	}
	if n < 10 {
		t.Errorf("only %d routes", n)
	}
	w.call(token, "POST", opsPath+"batches/B-1/start", "{}").want(t, 200)
}

// TestMethodsThatARouteHas: 405 says which (RFC 9110, section 15.5.6).
func TestMethodsThatARouteHas(t *testing.T) {
	w := newWorld(t)
	have := map[string][]string{}
	for _, r := range w.routes() {
		have[r.path] = append(have[r.path], r.method)
	}
	for path, methods := range have {
		a := w.call("", http.MethodPut, strings.ReplaceAll(path, "{id}", "jäm%2F1"), nil).want(t, 405)
		for _, m := range []string{"GET", "POST", "PATCH", "DELETE"} {
			if strings.Contains(a.header.Get("Allow"), m) != strings.Contains(fmt.Sprint(methods), m) {
				t.Errorf("%s: Allow %q, has %v", path, a.header.Get("Allow"), methods)
			}
		}
	}
}

// TestRefusalsInWords: the answers that a plant's engineer met and could make
// nothing of.
func TestRefusalsInWords(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	line, product := demo.ID("line", demo.Bottling), demo.ID("product", "water-500")
	batch := func(rest string) string {
		return fmt.Sprintf(`{"key":"B","line_id":%q,"product_id":%q,"unit":"bottle",%s}`, line, product, rest)
	}
	for _, c := range []struct {
		path, body, kind string
		status           int
		want             string
	}{
		{"products", `{"key":"a","name":"A","unit":"   "}`, "", 422, `{"location":"unit","rule":"blank","message":"must not be blank"}`},
		{"products", `{"key":"a","name":"A","unit":"jar"}`, "text/plain", 415, `{"location":"Content-Type","rule":"content_type","message":"must be application/json"}`},
		{"products", `{"key":`, "", 400, `{"location":"body","rule":"json","message":"is no JSON: unexpected end of JSON input"}`},
		{"products", ``, "", 400, `{"location":"body","rule":"required","message":"request body is required"}`},
		{"products", `[]`, "", 422, `{"location":"body","rule":"type","message":"expected object"}`},
		{"products", `{"key":"a","name":"` + strings.Repeat("x", 201) + `","unit":"jar"}`, "", 422, `"message":"expected length <= 200"`},
		{"batches", batch(`"planned_quantity":1e400`), "", 422, `{"location":"planned_quantity","rule":"not_finite","message":"is too large for a double"}`},
		{"batches", `{"key":"B","line_id":"bottling-1"}`, "", 422, `{"location":"line_id","rule":"format","message":"expected string to be RFC 4122 uuid"}`},
		{"sensors/filler-temperature/readings", `{"ts":"2026-11-27T20:00:00","value":5}`, "", 422, `{"location":"ts","rule":"time","message":"must be RFC 3339 or Unix milliseconds"}`},
		{"lines", `{"key":"a","name":"A","time_zone":"UTC","unit":"jar","ideal_rates":[{"product":"water-500","per_minute":1},{"product":"water-500","per_minute":2}]}`, "", 422, `{"location":"ideal_rates[1]","rule":"duplicate","message":"the product has a rate from this time already"}`},
		{"lines", `{"key":"a","name":"A","time_zone":"UTC","unit":"jar","ideal_rates":[{"product":"none","per_minute":1}]}`, "", 422, `{"location":"ideal_rates[0].product","rule":"unknown","message":"names no product"}`},
		{"stop-reasons", `{"key":"a","name":"A","class":"odd"}`, "", 422, `must be one of no_signal, unscheduled`},
		{"stop-reasons", `{"key":"filler-jam","name":"A"}`, "", 409, `another stop reason already has this key`},
	} {
		var more []string
		if c.kind != "" {
			more = []string{"Content-Type", c.kind}
		}
		a := w.call(token, "POST", opsPath+c.path, c.body, more...)
		if a.status != c.status || !strings.Contains(string(a.body), c.want) {
			t.Errorf("%s %.60s: %d %s, want %d %s", c.path, c.body, a.status, a.body, c.status, c.want)
		}
	}
	w.call(token, "POST", opsPath+"batches", batch(`"planned_quantity":1`)).want(t, 201)
	if a := w.call(token, "POST", opsPath+"batches/B/complete", map[string]any{"actual_quantity": 1, "scrap_quantity": 0}); !strings.Contains(string(a.body), "it would have to be running\"") {
		t.Errorf("%s", a.body)
	}
	if a := w.call(token, "POST", "/api/v1/api-keys", `{"name":"k","scopes":["read"],"expires_at":"2020-01-01T00:00:00Z"}`); a.status != 422 || !strings.Contains(string(a.body), `"location":"expires_at","rule":"past"`) {
		t.Errorf("a key that has expired: %d %s", a.status, a.body)
	}
	if a := w.call(token, "GET", opsPath+"lines?limit=abc", nil); !strings.Contains(string(a.body), `{"location":"limit","rule":"type","message":"invalid integer"}`) {
		t.Errorf("%s", a.body)
	}
}
