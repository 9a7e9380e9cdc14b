package telemetry

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// receiver is a collector and a Sentry at once.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex // guards what follows
	spans []*tracepb.Span
	raw   strings.Builder // whatever came, as it came
	auth  []string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var body io.Reader = req.Body
		if req.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(body)
			if err != nil {
				t.Error(err)
				return
			}
			body = z
		}
		b, err := io.ReadAll(body)
		if err != nil {
			t.Error(err)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.raw.Write(b)
		r.auth = append(r.auth, req.Header.Get("X-Tenant"))
		if req.URL.Path != "/v1/traces" {
			return
		}
		var m collector.ExportTraceServiceRequest
		if err := proto.Unmarshal(b, &m); err != nil {
			t.Error(err)
			return
		}
		for _, rs := range m.GetResourceSpans() {
			for _, ss := range rs.GetScopeSpans() {
				r.spans = append(r.spans, ss.GetSpans()...)
			}
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// all gives what came.
func (r *receiver) all() ([]*tracepb.Span, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.spans, r.raw.String()
}
