package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
)

// committed is the document as it was released. UPDATE=1 go
// test ./api -run Document writes it anew.
const committed = "openapi.json"

func (w *world) document() []byte {
	w.t.Helper()
	var b bytes.Buffer
	must(w.t, json.Indent(&b, w.call("", "GET", "/api/openapi.json", nil).want(w.t, 200).body, "", "  "))
	return append(bytes.TrimSpace(b.Bytes()), '\n')
}

// TestDocumentIsCommitted holds the committed copy and names what would break a
// client of it.
func TestDocumentIsCommitted(t *testing.T) {
	w := newWorld(t)
	now := w.document()
	if os.Getenv("UPDATE") != "" {
		must(t, os.WriteFile(committed, now, 0o644))
	}
	old, err := os.ReadFile(committed)
	must(t, err)
	var a, b map[string]any
	must(t, json.Unmarshal(old, &a))
	must(t, json.Unmarshal(now, &b))
	for _, x := range breaking(a, b) {
		t.Error("breaks clients: ", x)
	}
	if !bytes.Equal(old, now) {
		t.Error("the document has changed: run UPDATE=1 go test ./api -run Document and commit it")
	}
}

// breaking compares two documents as a client would: a route or an answer's
// field gone, a field newly required or of another type.
func breaking(a, b map[string]any) (out []string) {
	pathsA, pathsB := object(a, "paths"), object(b, "paths")
	for _, path := range slices.Sorted(maps.Keys(pathsA)) {
		for method := range object(pathsA, path) {
			if object(pathsB, path)[method] == nil {
				out = append(out, strings.ToUpper(method)+" "+path+" is gone")
			}
		}
	}
	sa, sb := object(object(a, "components"), "schemas"), object(object(b, "components"), "schemas")
	for _, name := range slices.Sorted(maps.Keys(sa)) {
		x, y := object(sa, name), object(sb, name)
		if len(y) == 0 {
			out = append(out, "schema "+name+" is gone")
			continue
		}
		for field, p := range object(x, "properties") {
			q := object(y, "properties")[field]
			switch {
			case q == nil:
				out = append(out, name+"."+field+" is gone")
			case fmt.Sprint(p.(map[string]any)["type"]) != fmt.Sprint(q.(map[string]any)["type"]):
				out = append(out, name+"."+field+" has another type")
			}
		}
		was, _ := x["required"].([]any)
		is, _ := y["required"].([]any)
		for _, field := range is {
			if !slices.Contains(was, field) && strings.HasSuffix(name, "Fields") {
				out = append(out, name+"."+field.(string)+" is newly required")
			}
		}
	}
	return out
}

func object(m map[string]any, key string) map[string]any {
	v, _ := m[key].(map[string]any)
	return v
}

// TestBreakingNamesBreaks is the check's own control.
func TestBreakingNamesBreaks(t *testing.T) {
	read := func(text string) (m map[string]any) {
		must(t, json.Unmarshal([]byte(text), &m))
		return m
	}
	was := `{"paths":{"/a":{"get":{},"post":{}}},"components":{"schemas":{"XFields":{"properties":{"p":{"type":"string"},"q":{"type":"string"}},"required":["p"]}}}}`
	is := `{"paths":{"/a":{"get":{}}},"components":{"schemas":{"XFields":{"properties":{"p":{"type":"integer"},"r":{"type":"string"}},"required":["p","r"]}}}}`
	if got := breaking(read(was), read(is)); len(got) != 4 {
		t.Errorf("named %q, want 4", got)
	}
	if got := breaking(read(was), read(was)); len(got) != 0 {
		t.Errorf("named %q of nothing", got)
	}
}

func TestEveryRouteIsDocumented(t *testing.T) {
	w := newWorld(t)
	ids := map[string]bool{}
	for _, r := range w.routes() {
		if r.op.Summary == "" || len(r.op.Tags) == 0 || ids[r.op.OperationID] {
			t.Errorf("%s %s: summary %q, tags %v, id %q", r.method, r.path, r.op.Summary, r.op.Tags, r.op.OperationID)
		}
		ids[r.op.OperationID] = true
	}
	// The routes that the design promises.
	for _, want := range strings.Fields(`GET:/ GET:/health POST:/api/v1/auth/login POST:/api/v1/auth/refresh POST:/api/v1/auth/logout GET:/api/v1/auth/me
		POST:/api/v1/plant-ops/lines GET:/api/v1/plant-ops/lines GET:/api/v1/plant-ops/lines/{id} PATCH:/api/v1/plant-ops/lines/{id} DELETE:/api/v1/plant-ops/lines/{id} POST:/api/v1/plant-ops/lines/{id}/status
		POST:/api/v1/plant-ops/batches GET:/api/v1/plant-ops/batches GET:/api/v1/plant-ops/batches/{id} PATCH:/api/v1/plant-ops/batches/{id} POST:/api/v1/plant-ops/batches/{id}/start POST:/api/v1/plant-ops/batches/{id}/complete
		POST:/api/v1/plant-ops/sensors GET:/api/v1/plant-ops/sensors GET:/api/v1/plant-ops/sensors/{id} PATCH:/api/v1/plant-ops/sensors/{id} DELETE:/api/v1/plant-ops/sensors/{id}
		POST:/api/v1/plant-ops/sensors/{id}/readings GET:/api/v1/plant-ops/sensors/{id}/readings POST:/api/v1/plant-ops/sensors/readings/bulk
		GET:/api/v1/plant-ops/lines/{id}/oee GET:/api/v1/plant-ops/lines/{id}/losses GET:/api/v1/plant-ops/lines/{id}/ledger GET:/api/v1/plant-ops/anomalies
		GET:/api/v1/events GET:/api/v1/users POST:/api/v1/users GET:/api/v1/api-keys POST:/api/v1/api-keys GET:/api/v1/tenants POST:/api/v1/tenants
		GET:/api/v1/plant-ops/products GET:/api/v1/plant-ops/calendars GET:/api/v1/plant-ops/stop-reasons`) {
		method, path, _ := strings.Cut(want, ":")
		if !slices.ContainsFunc(w.routes(), func(r route) bool { return r.method == method && r.path == path }) {
			t.Errorf("%s is missing", want)
		}
	}
}

func TestDocumentationPages(t *testing.T) {
	w := newWorld(t)
	for path, kind := range map[string]string{
		"/api/docs": "text/html", "/api/redoc": "text/html", "/api/assets/init.js": "text/javascript", "/api/assets/swagger-ui-bundle.js": "text/javascript",
		"/api/assets/swagger-ui.css": "text/css", "/api/assets/redoc.standalone.js": "text/javascript",
	} {
		plain := w.call("", http.MethodGet, path, nil).want(t, 200)
		packed := w.call("", http.MethodGet, path, nil, "Accept-Encoding", "gzip").want(t, 200)
		if !strings.HasPrefix(plain.header.Get("Content-Type"), kind) || len(plain.body) == 0 || strings.Contains(string(plain.body), "http://cdn") {
			t.Errorf("%s: %s, %d bytes", path, plain.header.Get("Content-Type"), len(plain.body))
		}
		if strings.HasSuffix(path, "bundle.js") && (packed.header.Get("Content-Encoding") != "gzip" || len(packed.body) >= len(plain.body)) {
			t.Errorf("%s is not compressed", path)
		}
	}
	w.call("", http.MethodGet, "/api/assets/none.js", nil).want(t, 404)
	w.call("", http.MethodGet, "/api/assets/..%2fdocs.go", nil).want(t, 404)
}
