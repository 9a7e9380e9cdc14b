package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/job"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/tenancy"
)

// The tests of this file are made from the document: each holds for every route
// that there is.

// things gives the id of one thing of the demo tenant of each kind, by the part
// of the path in front of {id}.
func (w *world) things(token string) map[string]string {
	w.t.Helper()
	made := w.call(token, "POST", "/api/v1/plant-ops/batches", map[string]any{"key": "B-1", "line_id": demo.ID("line", demo.Bottling), "product_id": demo.ID("product", "water-500"), "unit": "bottle", "planned_quantity": 10}).want(w.t, 201)
	work, err := w.jobs.Ask(w.t.Context(), job.Request{Kind: tenancy.KindProvision, Tenant: demo.TenantID(), TenantKey: "canary-key-of-a-job", Actor: "system"})
	must(w.t, err)
	return map[string]string{
		"lines": demo.ID("line", demo.Bottling).String(), "sensors": demo.ID("sensor", "filler-temperature").String(), "products": demo.ID("product", "water-500").String(),
		"calendars": demo.ID("calendar", "three-shifts").String(), "stop-reasons": demo.ID("stop_reason", "filler-jam").String(), "batches": made.json(w.t)["id"].(string),
		"users": demo.ID("user", demo.AdminEmail).String(), "tenants": demo.TenantID().String(), "api-keys": plant.NameID(demo.TenantID(), "api_key", w.seed.Key.Public).String(),
		"jobs": work.ID.String(), "alarms": w.alarm(demo.TenantID(), demo.ID("sensor", "filler-temperature")).String(),
	}
}

// fill puts ids into a path.
func (w *world) fill(path string, ids map[string]string) string {
	w.t.Helper()
	for kind, id := range ids {
		if strings.Contains(path, "/"+kind+"/{id}") {
			path = strings.Replace(path, "{id}", id, 1)
		}
	}
	if strings.Contains(path, "{") {
		w.t.Fatalf("no id of the demo tenant for %s: add one", path)
	}
	return path
}

func (r *route) parameter(in, name string) *huma.Param {
	for _, p := range r.op.Parameters {
		if p.In == in && p.Name == name {
			return p
		}
	}
	return nil
}

// TestEveryChangeNamesItsVersion: each PATCH and DELETE wants If-Match (428), and
// refuses a version that doesn't hold (412), changing nothing; reading gives the
// ETag that it takes.
func TestEveryChangeNamesItsVersion(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	ids := w.things(token)
	before := w.snapshot(token)
	n := 0
	for _, r := range w.routes() {
		if r.method != http.MethodPatch && r.method != http.MethodDelete {
			continue
		}
		n++
		path, name := w.fill(r.path, ids), r.method+" "+r.path
		p := r.parameter("header", "If-Match")
		if p == nil || r.op.Responses["412"] == nil || r.op.Responses["428"] == nil {
			t.Errorf("%s: If-Match, 412 or 428 are not documented", name)
		}
		for match, want := range map[string]int{"": 428, `"999"`: 412, "1": 412, `W/"1"`: 412, `"x"`: 412} {
			var more []string
			if match != "" {
				more = []string{"If-Match", match}
			}
			if a := w.call(token, r.method, path, w.body(r), more...); a.status != want {
				t.Errorf("%s with If-Match %q: %d, want %d", name, match, a.status, want)
			}
		}
		if get := w.call(token, "GET", path, nil); get.status != 200 || get.header.Get("ETag") == "" {
			t.Errorf("GET %s: %d without ETag", r.path, get.status)
		}
	}
	if n < 14 || w.snapshot(token) != before {
		t.Errorf("%d routes; changed: %v", n, w.snapshot(token) != before)
	}
}

// TestEveryReadHonoursIfNoneMatch: who has the version needs no body again.
func TestEveryReadHonoursIfNoneMatch(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	ids := w.things(token)
	n := 0
	for _, r := range w.routes() {
		if r.method != http.MethodGet || r.parameter("header", "If-None-Match") == nil {
			continue
		}
		n++
		path := w.fill(r.path, ids)
		tag := w.call(token, "GET", path, nil).want(t, 200).header.Get("ETag")
		for match, want := range map[string]int{tag: 304, "*": 304, `"x", ` + tag: 304, "W/" + tag: 304, `"999"`: 200} {
			a := w.call(token, "GET", path, nil, "If-None-Match", match)
			if a.status != want || a.header.Get("ETag") != tag || want == 304 && len(a.body) > 0 {
				t.Errorf("%s with %s: %d, ETag %s, %d bytes", r.path, match, a.status, a.header.Get("ETag"), len(a.body))
			}
		}
	}
	if n < 7 {
		t.Errorf("only %d routes", n)
	}
}

// TestEveryPostIsIdempotent: each POST that has a caller takes an
// Idempotency-Key; sent again it gives the first answer, byte for byte, and does
// nothing; with another body it is refused; and no clear secret is stored.
func TestEveryPostIsIdempotent(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	ids := w.things(token)
	n, replayed := 0, 0
	for i, r := range w.routes() {
		if r.method != http.MethodPost || r.roles == nil {
			continue
		}
		n++
		path, name := w.fill(r.path, ids), r.method+" "+r.path
		if r.parameter("header", "Idempotency-Key") == nil {
			t.Errorf("%s: Idempotency-Key is not documented", name)
		}
		if strings.HasPrefix(r.path, tenantsPath+"/{id}") {
			path = strings.Replace(path, ids["tenants"], "rival", 1) // suspending ourselves would end the test
		}
		body := w.body(r)
		if o, ok := body.(map[string]any); ok {
			for field, id := range map[string]plant.ID{"line_id": demo.ID("line", demo.Bottling), "product_id": demo.ID("product", "water-500")} {
				if o[field] != nil {
					o[field] = id
				}
			}
			if o["key"] != nil {
				o["key"] = fmt.Sprint("once-", i)
			}
			if list, ok := o["readings"].([]any); ok {
				delete(list[0].(map[string]any), "ts")
			}
			delete(o, "ts")
		}
		key := fmt.Sprint("once ", i)
		first := w.call(token, "POST", path, body, "Idempotency-Key", key)
		if first.status >= 500 {
			t.Errorf("%s: %d %s", name, first.status, first.body)
		}
		if first.status < 300 {
			replayed++
		}
		sent := len(w.rec.readings) + len(w.rec.events)
		second := w.call(token, "POST", path, body, "Idempotency-Key", key)
		if second.status != first.status || string(second.body) != string(first.body) || second.header.Get("Idempotency-Replayed") != "true" || second.header.Get("ETag") != first.header.Get("ETag") || second.header.Get("Location") != first.header.Get("Location") {
			t.Errorf("%s: first %d %s, then %d %s", name, first.status, first.body, second.status, second.body)
		}
		if len(w.rec.readings)+len(w.rec.events) != sent {
			t.Errorf("%s: recorded twice", name)
		}
		if body != nil {
			if a := w.call(token, "POST", path, map[string]any{"other": 1}, "Idempotency-Key", key); a.status != 422 || !strings.Contains(string(a.body), "reused") {
				t.Errorf("%s with another body: %d %s", name, a.status, a.body)
			}
		}
		if r.path == "/api/v1/api-keys" {
			w.notStored(first.json(t)["key"].(string)[20:])
		}
	}
	if n < 20 || replayed < n-6 {
		t.Errorf("%d routes, %d done", n, replayed)
	}
}

// notStored looks for a secret in what Postgres keeps of answers.
func (w *world) notStored(secret string) {
	w.t.Helper()
	rows := w.dump("SELECT scope, encode(request_hash, 'escape'), headers::text, encode(body, 'escape') FROM idempotency")
	if len(rows) < 1 || strings.Contains(rows, secret) {
		w.t.Errorf("the table of answers (%d bytes) holds the secret: %v", len(rows), strings.Contains(rows, secret))
	}
}

// TestEveryCursorIsBound: on each list, a cursor of another tenant, another
// filter or another sort, and a changed one, are refused with 400.
func TestEveryCursorIsBound(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	ids := w.things(token)
	rival, _ := w.login(rivalAdmin, rivalPassword)
	// A cursor of the right form for a list that is none of these.
	foreign := *w.s.cursors(demo.TenantID().String(), "elsewhere").make(true, demo.TenantID().String())
	n, filters := 0, 0
	for _, r := range w.routes() {
		if r.parameter("query", "cursor") == nil {
			continue
		}
		n++
		if r.op.Responses["400"] == nil {
			t.Errorf("%s: 400 is not documented", r.path)
		}
		path := w.fill(r.path, ids)
		for _, c := range []string{foreign, "x", "AAAA", strings.Repeat("A", 900), "%00"} {
			if a := w.call(token, "GET", path+"?cursor="+c, nil); a.status != 400 {
				t.Errorf("%s with cursor %.20q: %d", r.path, c, a.status)
			}
		}
		for _, p := range r.op.Parameters {
			if p.In != "query" || p.Name == "cursor" || p.Name == "limit" {
				continue
			}
			bound := w.cursorOf(r.path, path)
			if bound == "" {
				continue
			}
			filters++
			v := "x"
			switch {
			case len(p.Schema.Enum) > 0:
				v = fmt.Sprint(p.Schema.Enum[len(p.Schema.Enum)-1])
			case p.Schema.Items != nil && len(p.Schema.Items.Enum) > 0:
				v = fmt.Sprint(p.Schema.Items.Enum[0])
			case p.Schema.Format == "uuid":
				v = demo.TenantID().String()
			case p.Name == "from" || p.Name == "to":
				v = "2026-01-01T00:00:00Z"
			case p.Name == "line":
				v = demo.Bottling
			case p.Name == "sensor":
				v = "filler-temperature"
			case p.Schema.Type == "integer" || p.Schema.Type == "number":
				v = "1"
			case p.Schema.Type == "boolean":
				v = "true"
			}
			if a := w.call(token, "GET", path+"?"+p.Name+"="+v+"&cursor="+bound, nil); a.status != 400 {
				t.Errorf("%s: a cursor made without %s, with %s=%s: %d %s", r.path, p.Name, p.Name, v, a.status, a.body)
			}
			if a := w.call(rival, "GET", path+"?cursor="+bound, nil); a.status != 400 && a.status != 404 {
				t.Errorf("%s: the rival with our cursor: %d", r.path, a.status)
			}
		}
	}
	if n < 14 || filters < 12 {
		t.Errorf("%d lists, %d filters", n, filters)
	}
}

// cursorOf gets a real cursor of a list, by asking for pages of one; "" when the
// list has no second page.
func (w *world) cursorOf(pattern, path string) string {
	w.t.Helper()
	for _, credential := range []string{w.seed.Key.Reveal(), w.adminToken} {
		a := w.call(credential, "GET", path+"?limit=1", nil)
		if a.status != 200 {
			continue
		}
		c, _ := a.json(w.t)["next_cursor"].(string)
		return c
	}
	w.t.Errorf("%s can't be listed", pattern)
	return ""
}

// TestEveryAnswerHasItsHeaders: security headers and rate headers on each route's
// answer, good or bad; and for browsers the origin is named only if it is listed.
func TestEveryAnswerHasItsHeaders(t *testing.T) {
	w := newWorld(t)
	cfg := w.s.cfg
	cfg.Origins, cfg.TLS = []string{"https://board.example"}, true
	s, err := New(cfg, w.s.Deps)
	must(t, err)
	w.s = s
	token := w.admin()
	n := 0
	for _, r := range w.routes() {
		path := strings.ReplaceAll(r.path, "{id}", plant.NewID().String())
		for _, credential := range []string{token, ""} {
			n++
			a := w.call(credential, r.method, path, "{}", "Origin", "https://board.example", "If-Match", `"1"`)
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
				"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
				"Access-Control-Allow-Origin": "https://board.example", "Vary": "Origin",
			} {
				if got := a.header.Get(name); got != want {
					t.Errorf("%s %s (%d): %s is %q", r.method, r.path, a.status, name, got)
				}
			}
			for _, name := range []string{"X-Request-Id", "RateLimit-Policy", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Cache-Control"} {
				if a.header.Get(name) == "" && !(credential == "" && a.status == 401 && strings.HasPrefix(name, "RateLimit")) {
					t.Errorf("%s %s (%d): no %s", r.method, r.path, a.status, name)
				}
			}
		}
		other := w.call(token, r.method, path, "{}", "Origin", "https://evil.example")
		if other.header.Get("Access-Control-Allow-Origin") != "" || other.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s %s names a foreign origin", r.method, r.path)
		}
		ask := w.call("", http.MethodOptions, path, nil, "Origin", "https://board.example", "Access-Control-Request-Method", r.method)
		if ask.status != http.StatusNoContent || !strings.Contains(ask.header.Get("Access-Control-Allow-Methods"), r.method) {
			t.Errorf("OPTIONS %s: %d, %s", r.path, ask.status, ask.header.Get("Access-Control-Allow-Methods"))
		}
		for _, p := range r.op.Parameters {
			if p.In == "header" && !strings.Contains(strings.ToLower(ask.header.Get("Access-Control-Allow-Headers")), strings.ToLower(p.Name)) {
				t.Errorf("%s %s: a browser may not send %s", r.method, r.path, p.Name)
			}
		}
	}
	if n < 120 {
		t.Errorf("only %d answers", n)
	}
}

// TestEveryParameterSaysWhatItIs: no parameter goes without a word, so the
// document can be read without the code.
func TestEveryParameterSaysWhatItIs(t *testing.T) {
	w := newWorld(t)
	known := []string{"limit"}
	for _, r := range w.routes() {
		for _, p := range r.op.Parameters {
			if p.Description == "" && !slices.Contains(known, p.Name) {
				t.Errorf("%s %s: parameter %s has no description", r.method, r.path, p.Name)
			}
		}
		text, err := json.Marshal(r.op.Responses)
		must(t, err)
		if !strings.Contains(string(text), `"2`) && !strings.Contains(string(text), `"101"`) {
			t.Errorf("%s %s promises no success", r.method, r.path)
		}
	}
}

// TestEveryRouteRefusesUnknownParameters: a misspelt filter is named, never
// passed over, on every route; what a route takes is not refused.
func TestEveryRouteRefusesUnknownParameters(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	ids := w.things(token)
	for _, r := range w.routes() {
		a := w.call(token, r.method, w.fill(r.path, ids)+"?sensor_idd=x", nil, "If-Match", `"1"`)
		if a.status != 422 || !strings.Contains(string(a.body), `"location":"query.sensor_idd","rule":"unknown"`) {
			t.Errorf("%s %s with an unknown parameter: %d %s", r.method, r.path, a.status, a.body)
		}
	}
	w.call(token, http.MethodGet, "/api/v1/plant-ops/anomalies?limit=1", nil).want(t, 200)
}
