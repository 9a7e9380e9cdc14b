package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
)

// route is one operation of the document.
type route struct {
	method, path string
	op           *huma.Operation
	roles        []string
}

// routes reads the whole table from the document.
func (w *world) routes() (out []route) {
	paths := w.s.OpenAPI().Paths
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		p := paths[path]
		for method, op := range map[string]*huma.Operation{"GET": p.Get, "POST": p.Post, "PATCH": p.Patch, "PUT": p.Put, "DELETE": p.Delete} {
			if op != nil {
				roles, _ := op.Extensions[rolesExtension].([]string)
				out = append(out, route{method, path, op, roles})
			}
		}
	}
	return out
}

// body gives the request's example, as a copy.
func (w *world) body(r route) (v any) {
	if r.op.RequestBody == nil {
		return nil
	}
	for _, m := range r.op.RequestBody.Content {
		text, err := json.Marshal(m.Example)
		must(w.t, err)
		must(w.t, json.Unmarshal(text, &v))
	}
	return v
}

// TestRoleTable is promise S2: every route by every role, by a key of every
// scope, and by nobody. The control holds the same answers against the table of
// the next role.
func TestRoleTable(t *testing.T) {
	w := newWorld(t)
	roles := masterdata.Roles()
	checked, wrong, control := 0, 0, 0
	callers := append(w.callers(demo.TenantID(), "demo.example"), who{name: "nobody"})
	for _, r := range w.routes() {
		// An id that nothing has: who is let in finds nothing to harm.
		path := strings.ReplaceAll(r.path, "{id}", plant.NewID().String())
		for _, c := range callers {
			a := w.call(c.credential, r.method, path, "{}", "If-Match", `"1"`)
			checked++
			if !r.fits(c.name, c.roles, a.status) || a.status >= 500 {
				wrong++
				t.Errorf("%s %s by %s: %d", r.method, r.path, c.name, a.status)
			}
			if i := slices.Index(roles, c.name); i >= 0 && !r.fits(c.name, roles[(i+1)%len(roles):][:1], a.status) {
				control++
			}
		}
	}
	t.Logf("route × role checked %d, mismatches %d; control %d", checked, wrong, control)
	if checked < 400 {
		t.Errorf("only %d checks: the document lost routes", checked)
	}
	if control < 50 {
		t.Errorf("the control: only %d answers differ from another role's", control)
	}
}

// fits says whether an answer is what the table gives to a caller.
func (r *route) fits(name string, roles []string, status int) bool {
	in := status != http.StatusUnauthorized && status != http.StatusForbidden
	allowed := slices.ContainsFunc(roles, func(x string) bool { return slices.Contains(r.roles, x) })
	switch {
	case r.roles == nil:
		return status != http.StatusForbidden
	case name == "nobody":
		return status == http.StatusUnauthorized
	case strings.HasPrefix(r.path, tenantsPath) && r.method == http.MethodPost && allowed:
		return true // the handler decides further; TestOperatorOnly holds it
	}
	return allowed == in
}

// TestNothingOfAnotherTenant is promise S1: every route with every id of the
// demo tenant, in the path, the query and the body, asked by every role of the
// rival and by its keys.
func TestNothingOfAnotherTenant(t *testing.T) { nothingOfAnotherTenant(t, newWorld(t)) }

func nothingOfAnotherTenant(t *testing.T, w *world) {
	t.Helper()
	token := w.admin()
	ids := w.things(token)
	w.call(token, "PATCH", "/api/v1/plant-ops/lines/bottling-1", map[string]any{"name": "Canary of the demo"}, "If-Match", "*").want(t, 200)
	before := w.snapshot(token)
	secrets := append(slices.Collect(maps.Values(ids)), demo.TenantName, demo.AdminEmail, "Canary of the demo", w.seed.Key.Public, "canary-key-of-a-job")
	asked, pointed, leaks := 0, 0, 0
	leak := func(format string, args ...any) {
		leaks++
		t.Errorf(format, args...)
	}
	for _, c := range w.rivals() {
		for _, r := range w.routes() {
			path := w.fill(r.path, ids)
			body, points := w.foreign(r, ids)
			for _, match := range []string{"*", `"1"`} {
				a := w.call(c.credential, r.method, path+r.foreignQuery(ids), body, "If-Match", match)
				asked++
				allowed := r.roles == nil || slices.ContainsFunc(c.roles, func(x string) bool { return slices.Contains(r.roles, x) })
				forbidden := a.status == http.StatusForbidden && (!allowed || strings.HasPrefix(r.path, tenantsPath))
				if path != r.path && a.status != http.StatusNotFound && !forbidden {
					leak("%s %s by %s: %d %s", r.method, path, c.name, a.status, a.body)
				}
				if points {
					pointed++
					if a.status < 400 || a.status >= 500 {
						leak("%s %s by %s may point at the demo's things: %d %s", r.method, path, c.name, a.status, a.body)
					}
				}
				for _, s := range secrets {
					if strings.Contains(strings.ReplaceAll(string(a.body), path, ""), s) && r.path != "/api/openapi.json" {
						leak("%s %s tells %s %q", r.method, path, c.name, s)
					}
				}
			}
		}
	}
	for _, tenant := range w.read.asked {
		if tenant == demo.TenantID() {
			leak("ClickHouse was asked for the demo tenant")
		}
	}
	if after := w.snapshot(token); after != before {
		t.Error("the demo tenant's things have changed")
	}
	t.Logf("requests %d, of them %d with foreign ids in the body, leaks %d", asked, pointed, leaks)
	if asked < 1000 || pointed < 20 {
		t.Error("the document lost routes")
	}
	// The control: the demo tenant's own admin does find them.
	for kind, id := range ids {
		base := opsPath
		if kind == "users" || kind == "tenants" || kind == "api-keys" || kind == "jobs" {
			base = "/api/v1/"
		}
		if a := w.call(token, "GET", base+kind+"/"+id, nil); a.status != 200 {
			t.Errorf("the owner does not find %s: %d, so the test proves nothing", kind, a.status)
		}
	}
}

// who is a caller and what it may act as.
type who struct {
	name, credential string
	roles            []string
}

// rivals are the rival's people of every role and its keys of every scope.
func (w *world) rivals() []who {
	w.t.Helper()
	rival, err := w.s.Store.Tenant(w.t.Context(), "rival")
	must(w.t, err)
	return w.callers(rival.ID, "rival.example")
}

// callers makes a user of every role and a key of every scope.
func (w *world) callers(tenant plant.ID, domain string) (out []who) {
	w.t.Helper()
	hash, err := w.hasher.Hash(w.t.Context(), "a long password")
	must(w.t, err)
	system := masterdata.System(tenant)
	for _, role := range masterdata.Roles() {
		email := role + "-of@" + domain
		must(w.t, w.s.Store.Users().Create(w.t.Context(), system, &masterdata.User{UserFields: masterdata.UserFields{Email: email, Name: role, Role: role, Active: true}, Hash: hash}))
		token, _ := w.login(email, "a long password")
		out = append(out, who{role, token, []string{role}})
	}
	for scope, role := range map[string]string{directory.ScopeIngest: masterdata.RoleIngest, directory.ScopeRead: masterdata.RoleViewer, directory.ScopeManage: masterdata.RoleManager} {
		_, clear, err := w.s.Store.APIKeys().Create(w.t.Context(), system, masterdata.APIKeyFields{Name: scope, Scopes: []string{scope}})
		must(w.t, err)
		out = append(out, who{"key " + scope, clear.Reveal(), []string{role}})
	}
	w.sync()
	return out
}

// pointers are the properties and parameters that name a thing, by its kind.
func pointers() map[string]string {
	return map[string]string{
		"line_id": "lines", "product_id": "products", "calendar_id": "calendars", "parent_id": "stop-reasons", "sensor_id": "sensors", "batch_id": "batches", "aggregate_id": "lines",
		"line": "lines", "sensor": "sensors", "tenant": "tenants",
	}
}

// foreign is a route's example pointed at the things of ids, and whether it has
// pointers.
func (w *world) foreign(r route, ids map[string]string) (body any, found bool) {
	body = w.body(r)
	o, ok := body.(map[string]any)
	if !ok {
		return body, false
	}
	for _, m := range r.op.RequestBody.Content {
		for name := range w.resolved(m.Schema).Properties {
			if kind := pointers()[name]; kind != "" {
				o[name], found = ids[kind], true
			}
		}
	}
	return o, found
}

// foreignQuery filters by the things of ids wherever a route can.
func (r *route) foreignQuery(ids map[string]string) string {
	var q []string
	for _, p := range r.op.Parameters {
		if kind := pointers()[p.Name]; kind != "" && p.In == "query" {
			q = append(q, p.Name+"="+ids[kind])
		}
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + strings.Join(q, "&")
}

// snapshot is all that the demo tenant has, as text.
func (w *world) snapshot(token string) string {
	var b strings.Builder
	for _, kind := range []string{"plant-ops/lines", "plant-ops/sensors", "plant-ops/products", "plant-ops/calendars", "plant-ops/stop-reasons", "plant-ops/batches", "plant-ops/alarms", "users", "api-keys"} {
		b.Write(w.call(token, "GET", "/api/v1/"+kind+"?limit=1000", nil).want(w.t, 200).body)
	}
	return b.String()
}

// TestNothingMoreIsWritable is promise S3: each field of each answer is sent
// back changed; what isn't a user's to say is refused and stays.
func TestNothingMoreIsWritable(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	w.call(token, "POST", "/api/v1/plant-ops/batches", map[string]any{"key": "B-1", "line_id": demo.ID("line", demo.Bottling), "product_id": demo.ID("product", "water-500"), "unit": "bottle", "planned_quantity": 10}).want(t, 201)
	tried, changed := 0, 0
	for _, r := range w.routes() {
		if r.method != http.MethodPatch {
			continue
		}
		list := strings.TrimSuffix(r.path, "/{id}")
		item := w.call(token, "GET", list+"?limit=1", nil).want(t, 200).json(t)["items"].([]any)[0].(map[string]any)
		one := list + "/" + item["id"].(string)
		writable := r.op.RequestBody.Content["application/json"].Schema.Properties
		fields := maps.Clone(item)
		// Columns that no answer shows.
		for _, hidden := range []string{"password_hash", "hash", "tenant_id", "Hash", "password", "line_fields"} {
			fields[hidden] = "x"
		}
		for name, v := range fields {
			if writable[name] != nil {
				continue
			}
			tried++
			for _, patch := range []any{map[string]any{name: v}, map[string]any{strings.ToUpper(name): v}} {
				a := w.call(token, "PATCH", one, patch, "If-Match", "*")
				if a.status != http.StatusUnprocessableEntity {
					changed++
					t.Errorf("PATCH %s with %v: %d", one, patch, a.status)
				}
			}
		}
		after := w.call(token, "GET", one, nil).want(t, 200).json(t)
		if fmt.Sprint(after) != fmt.Sprint(item) {
			changed++
			t.Errorf("%s changed from %v to %v", one, item, after)
		}
	}
	t.Logf("properties tried %d, changed %d", tried, changed)
	if tried < 60 {
		t.Errorf("only %d properties tried", tried)
	}
}

// TestRolesAreShown: the table that is shown is the one that holds.
func TestRolesAreShown(t *testing.T) {
	w := newWorld(t)
	shown := map[string]bool{}
	for _, x := range w.call(w.admin(), "GET", "/api/v1/roles", nil).want(t, 200).json(t)["items"].([]any) {
		item := x.(map[string]any)
		for _, r := range item["routes"].([]any) {
			route := r.(map[string]any)
			shown[fmt.Sprint(item["role"], " ", route["method"], " ", route["path"])] = true
		}
	}
	n := 0
	for _, r := range w.routes() {
		for _, role := range masterdata.Roles() {
			may := r.roles == nil || slices.Contains(r.roles, role)
			if name := role + " " + r.method + " " + r.path; shown[name] != may {
				t.Errorf("%s: shown %v, holds %v", name, shown[name], may)
			}
			n++
		}
	}
	if n < 300 || len(shown) == n {
		t.Errorf("%d of %d", len(shown), n)
	}
}

func TestOperatorOnly(t *testing.T) {
	w := newWorld(t)
	in := map[string]any{"key": "third", "name": "Third", "admin": map[string]any{"email": "c@third.example", "name": "C", "password": "third-password"}}
	rival, _ := w.login(rivalAdmin, rivalPassword)
	w.call(rival, "POST", tenantsPath, in).want(t, 403)
	token := w.admin()
	w.call(token, "POST", tenantsPath, in).want(t, 201)
	w.call(token, "POST", tenantsPath, in).want(t, 409)
	w.sync()
	third, refresh := w.login("c@third.example", "third-password")
	if got := w.call(third, "GET", "/api/v1/auth/me", nil).want(t, 200).json(t)["tenant"]; got != "third" {
		t.Errorf("tenant %v", got)
	}
	if n := len(w.call(third, "GET", tenantsPath, nil).want(t, 200).json(t)["items"].([]any)); n != 1 {
		t.Errorf("the new tenant sees %d tenants", n)
	}
	w.call(third, "POST", tenantsPath+"/demo/suspend", nil).want(t, 403)
	w.call(token, "POST", tenantsPath+"/third/suspend", nil).want(t, 200)
	w.sync()
	w.call(third, "GET", "/api/v1/auth/me", nil).want(t, 401)
	w.call("", "POST", "/api/v1/auth/refresh", map[string]string{"refresh_token": refresh}).want(t, 401)
	w.call(token, "POST", tenantsPath+"/third/resume", nil).want(t, 200)
	w.sync()
	w.call(third, "GET", "/api/v1/auth/me", nil).want(t, 200)
}

// TestNoSecretAppears is promise S20: canaries go through every path and are
// looked for in every log line and error.
func TestNoSecretAppears(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	made := w.call(token, "POST", "/api/v1/api-keys", map[string]any{"name": "k", "scopes": []string{"read"}}).want(t, 201)
	key := made.json(t)["key"].(string)
	w.sync()
	_, refresh := w.login(demo.AdminEmail, w.seed.Password)
	canaries := []string{"canary-one-password", key[20:], refresh, token, w.seed.Password}
	var answers []answer
	for _, r := range w.routes() {
		path := strings.ReplaceAll(r.path, "{id}", "canary-one-password") + "?cursor=canary-one-password&from=canary-one-password"
		for _, body := range []any{
			map[string]any{"email": demo.AdminEmail, "password": "canary-one-password", "refresh_token": refresh + "canary-one-password", "name": 5},
			`{"password":["canary-one-password"]}`, `canary-one-password`,
		} {
			answers = append(answers, w.call(token, r.method, path, body, "If-Match", "*"), w.call(key+"x", r.method, path, body), w.call(token+"x", r.method, path, body))
		}
	}
	hits := 0
	look := func(where, text string) {
		for _, c := range canaries {
			if strings.Contains(text, c) {
				hits++
				t.Errorf("%s holds %q: %.300s", where, c, text)
			}
		}
	}
	for _, a := range answers {
		if a.status >= 400 {
			look("an error", string(a.body))
		}
		if a.status >= 500 {
			t.Errorf("status %d: %s", a.status, a.body)
		}
	}
	look("the log", w.logs.String())
	t.Logf("answers %d, log bytes %d, hits %d", len(answers), len(w.logs.String()), hits)
	// The control: what the log is told on purpose is found by the same look.
	if subject := demo.ID("user", demo.AdminEmail).String(); !strings.Contains(w.logs.String(), subject) {
		t.Error("the subject of the requests is not found, so the test proves nothing")
	}
}

func TestProblemsHaveTheirShape(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	for _, c := range []struct {
		method, path string
		body         any
		status       int
	}{
		{"GET", "/nowhere", nil, 404},
		{"PUT", "/health", nil, 405},
		{"POST", "/api/v1/plant-ops/lines", "{", 400},
		{"POST", "/api/v1/plant-ops/lines", `{"key":"a"}`, 422},
		{"POST", "/api/v1/plant-ops/lines", strings.Repeat("x", 2<<20), 413},
		{"POST", "/api/v1/plant-ops/lines", `{"key":"a b","name":"x","unit":"u","time_zone":"Mars/Olympus"}`, 422},
	} {
		a := w.call(token, c.method, c.path, c.body)
		var p struct {
			Type, Title string
			Status      int
			Errors      []map[string]any
		}
		if err := json.Unmarshal(a.body, &p); err != nil || a.status != c.status || p.Status != c.status || w.call("", "GET", p.Type, nil).status != 200 || a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %d %s %s", c.method, c.path, a.status, a.header.Get("Content-Type"), a.body)
		}
		for _, e := range p.Errors {
			if e["location"] == nil || e["rule"] == nil || e["message"] == nil || e["value"] != nil {
				t.Errorf("%s: item %v", c.path, e)
			}
		}
	}
}

func FuzzCursor(f *testing.F) {
	s := &Server{cfg: Config{Secret: []byte("01234567890123456789012345678901")}}
	c := s.cursors("t", "r", "f")
	good := c.make(true, "position")
	f.Add(*good)
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := c.read(text)
		if err == nil && text != "" && text != *good {
			t.Fatalf("%q reads as %q", text, p)
		}
	})
}

func FuzzMerge(f *testing.F) {
	f.Add([]byte(`{"name":"x","h":null}`))
	f.Add([]byte(`{"name":{"a":{}}}`))
	f.Fuzz(func(t *testing.T, patch []byte) {
		before := masterdata.SensorFields{Key: "k", Name: "n"}
		after, err := merge(before, patch)
		if err == nil {
			if _, err := json.Marshal(after); err != nil {
				t.Fatalf("%q merges to what can't be shown: %v", patch, err)
			}
		}
	})
}
