package api

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/foodflow/foodflow/internal/contract"
)

// committed is the document as it was released.
const committed = "openapi.json"

func (w *world) document() []byte {
	w.t.Helper()
	var b bytes.Buffer
	must(w.t, json.Indent(&b, w.call("", "GET", "/api/openapi.json", nil).want(w.t, 200).body, "", "  "))
	return append(bytes.TrimSpace(b.Bytes()), '\n')
}

// TestDocumentIsCommitted holds the committed copy and names what would break a
// client of it. UPDATE=1 writes the copy anew, unless clients would break: that
// takes UPDATE=breaking, and a line in the changelog.
func TestDocumentIsCommitted(t *testing.T) {
	w := newWorld(t)
	now := w.document()
	old, err := os.ReadFile(committed)
	must(t, err)
	var a, b map[string]any
	must(t, json.Unmarshal(old, &a))
	must(t, json.Unmarshal(now, &b))
	breaks := contract.Breaks(a, b)
	update := os.Getenv("UPDATE")
	if update != "breaking" {
		for _, x := range breaks {
			t.Error("breaks clients: ", x)
		}
	}
	if update == "breaking" || update != "" && len(breaks) == 0 {
		must(t, os.WriteFile(committed, now, 0o644))
	} else if !bytes.Equal(old, now) {
		t.Error("the document has changed: run UPDATE=1 go test ./api -run Document and commit it")
	}
	// The control: a route less is a break.
	delete(b["paths"].(map[string]any), "/health")
	if got := contract.Breaks(a, b); !slices.Contains(got, "GET /health: is gone") {
		t.Errorf("without /health: %q", got)
	}
}

// TestExamples: each body of each route has an example that its schema accepts.
func TestExamples(t *testing.T) {
	w := newWorld(t)
	registry := w.s.OpenAPI().Components.Schemas
	fits := func(s *huma.Schema, mode huma.ValidateMode, example any) []error {
		text, err := json.Marshal(example)
		must(t, err)
		var v any
		must(t, json.Unmarshal(text, &v))
		found := &huma.ValidateResult{}
		huma.Validate(registry, s, huma.NewPathBuffer(nil, 0), mode, v, found)
		return found.Errors
	}
	requests, answers, controls := 0, 0, 0
	for _, r := range w.routes() {
		name := r.method + " " + r.path
		if r.op.RequestBody != nil {
			for kind, m := range r.op.RequestBody.Content {
				requests++
				if errs := fits(m.Schema, huma.ModeWriteToServer, m.Example); m.Example == nil || len(errs) > 0 {
					t.Errorf("%s: the request %v as %s: %v", name, m.Example, kind, errs)
				}
				// The control: a field that isn't there is found.
				if o, ok := m.Example.(map[string]any); ok {
					bad := maps.Clone(o)
					bad["not_a_field"] = 1
					if len(fits(m.Schema, huma.ModeWriteToServer, bad)) > 0 {
						controls++
					}
				}
			}
		}
		for status, res := range r.op.Responses {
			for kind, m := range res.Content {
				answers++
				if errs := fits(m.Schema, huma.ModeReadFromServer, m.Example); m.Example == nil || len(errs) > 0 {
					t.Errorf("%s: the answer %s %v as %s: %v", name, status, m.Example, kind, errs)
				}
			}
		}
	}
	t.Logf("%d requests, %d answers, %d controls", requests, answers, controls)
	if requests < 35 || answers < 300 || controls < requests-1 {
		t.Errorf("%d requests, %d answers, %d controls", requests, answers, controls)
	}
}

func TestEveryRouteIsDocumented(t *testing.T) {
	w := newWorld(t)
	ids, summaries, used := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, r := range w.routes() {
		if r.op.Summary == "" || summaries[r.op.Summary] || r.op.Description == "" || r.op.Security == nil || len(r.op.Tags) != 1 || ids[r.op.OperationID] {
			t.Errorf("%s %s: summary %q, description %q, tags %v, id %q", r.method, r.path, r.op.Summary, r.op.Description, r.op.Tags, r.op.OperationID)
		}
		ids[r.op.OperationID], summaries[r.op.Summary], used[r.op.Tags[0]] = true, true, true
	}
	for _, x := range w.s.OpenAPI().Tags {
		if x.Description == "" || !used[x.Name] {
			t.Errorf("the tag %q: used %v, described as %q", x.Name, used[x.Name], x.Description)
		}
		delete(used, x.Name)
	}
	if len(used) > 0 {
		t.Errorf("tags that are not described: %v", used)
	}
	// The routes that the design promises.
	for _, want := range strings.Fields(`GET:/ GET:/health POST:/api/v1/auth/login POST:/api/v1/auth/refresh POST:/api/v1/auth/logout GET:/api/v1/auth/me
		POST:/api/v1/plant-ops/lines GET:/api/v1/plant-ops/lines GET:/api/v1/plant-ops/lines/{id} PATCH:/api/v1/plant-ops/lines/{id} DELETE:/api/v1/plant-ops/lines/{id} POST:/api/v1/plant-ops/lines/{id}/status
		POST:/api/v1/plant-ops/batches GET:/api/v1/plant-ops/batches GET:/api/v1/plant-ops/batches/{id} PATCH:/api/v1/plant-ops/batches/{id} POST:/api/v1/plant-ops/batches/{id}/start POST:/api/v1/plant-ops/batches/{id}/complete
		POST:/api/v1/plant-ops/sensors GET:/api/v1/plant-ops/sensors GET:/api/v1/plant-ops/sensors/{id} PATCH:/api/v1/plant-ops/sensors/{id} DELETE:/api/v1/plant-ops/sensors/{id}
		POST:/api/v1/plant-ops/sensors/{id}/readings GET:/api/v1/plant-ops/sensors/{id}/readings POST:/api/v1/plant-ops/sensors/readings/bulk
		GET:/api/v1/plant-ops/lines/{id}/oee GET:/api/v1/plant-ops/lines/{id}/losses GET:/api/v1/plant-ops/lines/{id}/ledger GET:/api/v1/plant-ops/lines/{id}/downtime GET:/api/v1/plant-ops/anomalies GET:/api/v1/plant-ops/alarms GET:/api/v1/plant-ops/alarms/{id} POST:/api/v1/plant-ops/alarms/{id}/acknowledge POST:/api/v1/plant-ops/alarms/{id}/shelve GET:/api/v1/plant-ops/stream
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
		if !strings.HasPrefix(plain.header.Get("Content-Type"), kind) || len(plain.body) == 0 {
			t.Errorf("%s: %s, %d bytes", path, plain.header.Get("Content-Type"), len(plain.body))
		}
		if strings.HasSuffix(path, "bundle.js") && (packed.header.Get("Content-Encoding") != "gzip" || len(packed.body) >= len(plain.body)) {
			t.Errorf("%s is not compressed", path)
		}
	}
	w.call("", http.MethodGet, "/api/assets/none.js", nil).want(t, 404)
	w.call("", http.MethodGet, "/api/assets/..%2fdocs.go", nil).want(t, 404)
}
