package main_test

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// outside is a collector of traces and a Sentry, which remember what they are
// told.
type outside struct {
	*httptest.Server
	mu     sync.Mutex                 // guards what follows
	traces map[string]map[string]bool // trace: "service/span" seen in it
	raw    strings.Builder
	events int
}

func listenOutside(t *testing.T) *outside {
	t.Helper()
	o := &outside{traces: map[string]map[string]bool{}}
	o.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(body)
			if err != nil {
				return
			}
			body = z
		}
		b, err := io.ReadAll(body)
		if err != nil {
			return
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.raw.Write(b)
		var m collector.ExportTraceServiceRequest
		if r.URL.Path != "/v1/traces" {
			o.events++
			return
		}
		if err := proto.Unmarshal(b, &m); err != nil {
			t.Error(err)
			return
		}
		for _, rs := range m.GetResourceSpans() {
			service := rs.GetResource().GetAttributes()[0].GetValue().GetStringValue()
			for _, ss := range rs.GetScopeSpans() {
				for _, s := range ss.GetSpans() {
					id := hex.EncodeToString(s.GetTraceId())
					if o.traces[id] == nil {
						o.traces[id] = map[string]bool{}
					}
					o.traces[id][service+"/"+s.GetName()] = true
				}
			}
		}
	}))
	t.Cleanup(o.Close)
	return o
}

// whole says whether one trace has all of the spans.
func (o *outside) whole(spans ...string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, t := range o.traces {
		n := 0
		for _, s := range spans {
			if t[s] {
				n++
			}
		}
		if n == len(spans) {
			return true
		}
	}
	return false
}

func (o *outside) told() (raw string, events int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.raw.String(), o.events
}

// TestOneTraceFromRequestToInsert runs the program with a collector and a Sentry
// of this test: one trace goes from a request to ingest through Kafka to the
// insert into ClickHouse, another from a request to the API to the statements in
// Postgres; an error reaches Sentry; and none of them, nor the log, is told a
// key, a password or a payload (S20).
func TestOneTraceFromRequestToInsert(t *testing.T) {
	o := listenOutside(t)
	in := install(t)
	dsn := strings.Replace(o.URL, "://", "://c4n4rydsn@", 1) + "/7"
	in.env = []string{
		"FOODFLOW_OTEL_ENDPOINT=" + o.URL, "FOODFLOW_OTEL_SAMPLE=1", "FOODFLOW_OTEL_HEADERS=authorization=c4n4ryheader", "FOODFLOW_SENTRY_DSN=" + dsn, "FOODFLOW_LOG_LEVEL=debug",
	}
	in.start()
	c := in.login(in.Email, in.Password)
	c.do(http.MethodGet, in.API+"/api/v1/plant-ops/lines?limit=1", nil, http.StatusOK)
	payload := fmt.Sprintf(`{"readings":[{"sensor":"oven-zone-1-temperature","ts":%d,"value":231.5062911}]}`, time.Now().UnixMilli())
	key := &caller{in: in, key: in.APIKey}
	send := func(body string, want int) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, in.Ingest+"/v1/readings?partial=false&c4n4ryquery=1", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-API-Key", key.key)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Fatalf("%d, want %d", resp.StatusCode, want)
		}
	}
	send(payload, http.StatusAccepted)
	send(`{"readings":[{"sensor":"c4n4rysensor","ts":"c4n4rytime","value":1}]}`, http.StatusUnprocessableEntity)
	wait := func(what string, done func() bool) {
		t.Helper()
		for deadline := time.Now().Add(patience); !done(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				o.mu.Lock()
				defer o.mu.Unlock()
				t.Fatalf("%s: %v\n%s", what, o.traces, in.tail())
			}
		}
	}
	wait("from the request to the insert", func() bool {
		return o.whole("foodflow-ingest/POST /v1/readings", "foodflow-processors/process batch", "foodflow-processors/insert")
	})
	wait("from the request to Postgres", func() bool {
		return o.whole("foodflow-api/GET /api/v1/plant-ops/lines", "foodflow-api/query")
	})
	// A child that is killed is an error that a person must act on.
	in.kill("processors")
	wait("Sentry", func() bool {
		raw, n := o.told()
		return n > 0 && strings.Contains(raw, "child process ended by itself")
	})
	in.stop()
	raw, _ := o.told()
	secrets := []string{in.Password, in.APIKey, c.token, "231.5062911", "c4n4rydsn", "c4n4ryheader", "c4n4ryquery", "c4n4rysensor", "c4n4rytime"}
	if pw := strings.Split(strings.SplitAfter(in.Postgres, "postgres:")[2], "@")[0]; len(pw) > 10 {
		secrets = append(secrets, pw)
	} else {
		t.Fatal("no password of Postgres")
	}
	in.mu.Lock()
	log := in.log.String()
	in.mu.Unlock()
	_, log, _ = strings.Cut(log, "Ctrl-C drains ") // the summary shows the demo log-in on purpose
	if !strings.Contains(log, "trace_id=") || !strings.Contains(log, "request_id=") || !strings.Contains(log, "tenant=") {
		t.Error("request lines lack trace, request or tenant")
	}
	for _, s := range secrets {
		// Sentry is told its own DSN: that is how it knows whose event it is.
		if s != "c4n4rydsn" && strings.Contains(raw, s) {
			t.Errorf("collector or Sentry were told %q", s)
		}
		if strings.Contains(log, s) {
			t.Errorf("the log says %q", s)
		}
	}
}
