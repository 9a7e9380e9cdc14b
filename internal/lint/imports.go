package lint

import (
	"fmt"
	"strconv"
	"strings"
)

// home names the only folders whose code may import a library.
type home struct {
	library string // import path or its beginning
	folders []string
}

// homes is design's table: one home for each third-party library, so that a
// change of library is a change of one package. cmd hands clients of Kafka from
// one home to another.
func homes() []home {
	return []home{
		{"github.com/twmb/avro", []string{"schemas"}},
		{"github.com/twmb/franz-go/pkg/sr", []string{"schemas/registry"}},
		{"github.com/twmb/franz-go", []string{"internal/broker", "internal/stream", "internal/outbox", "internal/directory", "ingest/kafkaout", "processors/snapshot", "schemas/registry", "cmd", "internal/bench"}},
		{"github.com/ClickHouse/", []string{"clickhouse"}},
		{"github.com/ebitengine/purego", []string{"clickhouse/embedded"}},
		{"github.com/jackc/pgx", []string{"internal/postgres", "internal/masterdata", "internal/outbox", "internal/migrate", "internal/job", "internal/testkit"}},
		{"github.com/riverqueue/river", []string{"internal/job"}},
		{"github.com/pressly/goose", []string{"internal/migrate"}},
		{"github.com/golang-jwt/jwt", []string{"api/auth"}},
		{"github.com/mochi-mqtt", []string{"ingest/mqttin", "cmd/foodflow/bench"}}, // bench: the bare listener
		{"github.com/eclipse/paho.golang", []string{"internal/feed"}},
		{"github.com/eclipse/paho.mqtt", nil},
		{"github.com/hamba/avro", nil},
		{"github.com/cloudevents/sdk-go", nil},
		{"github.com/danielgtaylor/huma", []string{"api"}},
		{"github.com/go-chi/chi", []string{"api"}},
		{"github.com/coder/websocket", []string{"api"}},
		{"github.com/chromedp", []string{"internal/testkit/browser"}},
		{"github.com/alecthomas/kong", []string{"cmd", "internal/config"}},
		{"go.opentelemetry.io", []string{"internal/telemetry"}},
		{"github.com/getsentry/sentry-go", []string{"internal/telemetry"}},
		{"github.com/knadh/koanf", []string{"internal/config"}},
		{"pgregory.net/rapid", nil},
		{"go.uber.org/goleak", []string{"internal/testkit/leak"}},
	}
}

// Imports keeps the import rules. Tests are free: an integration test joins what
// the code keeps apart, and a second implementation of Avro lives in them.
func Imports(t *Tree) []Fault {
	var out []Fault
	for _, s := range t.sources() {
		if s.Test {
			continue
		}
		for _, spec := range s.AST.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue // the parser took it, so it can't be
			}
			if why := forbidden(s.Dir, p); why != "" {
				out = append(out, Fault{t.at(spec), fmt.Sprintf("imports %s: %s", p, why)})
			}
		}
	}
	return out
}

// forbidden says why code in dir may not import p, or "".
func forbidden(dir, p string) string {
	services := []string{"ingest", "processors", "api"}
	if inner, ok := strings.CutPrefix(p, Module+"/"); ok {
		for _, service := range services {
			if !within(inner, service) {
				continue
			}
			if within(dir, "internal") {
				return "internal packages never import a service"
			}
			if within(dir, services...) && !within(dir, service) {
				return "ingest, processors and api never import one another"
			}
		}
	}
	if within(dir, "processors/window", "processors/anomaly", "processors/oee") &&
		strings.Contains(p, ".") && p != Module+"/internal/plant" && !strings.HasPrefix(p, Module+"/"+dir) {
		return "the pure core imports std and internal/plant only"
	}
	if dir == "internal/plant" && strings.HasPrefix(p, Module) {
		return "plant is the middle: it imports nothing of ours"
	}
	for _, h := range homes() {
		if p != h.library && !strings.HasPrefix(p, strings.TrimSuffix(h.library, "/")+"/") && !strings.HasPrefix(p, h.library+".") {
			continue
		}
		if within(dir, h.folders...) {
			return ""
		}
		if len(h.folders) == 0 {
			return "for tests only"
		}
		return "its home is " + strings.Join(h.folders, ", ")
	}
	return ""
}
