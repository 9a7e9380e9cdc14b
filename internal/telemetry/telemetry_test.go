package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

func tracer(t *testing.T, r *receiver, sample float64) *Tracer {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Endpoint, cfg.Sample, cfg.Service, cfg.Headers = r.URL, sample, "test", "X-Tenant=h1"
	tr, err := NewTracer(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestTraceGoesThroughRequestHeaderAndBatch(t *testing.T) {
	r := newReceiver(t)
	tr := tracer(t, r, 1)
	var headers [][]byte
	h := tr.Middleware(func(*http.Request) string { return "/x" })(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		headers = append(headers, Header(r.Context()))
		_, s := Start(r.Context(), "query")
		s.Text("db.operation.name", "SELECT")
		s.End(errors.New("what went wrong"))
		w.WriteHeader(http.StatusBadGateway)
	}))
	for range 3 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/x?secret=1", http.NoBody))
	}
	var l Links
	for _, h := range append(headers, headers[0], []byte("00-zz"), nil) {
		l.Note(h, nil)
		l.Note(h, nil)
	}
	if len(l.found) != 3 {
		t.Fatalf("%d requests in the batch", len(l.found))
	}
	ctx, b := tr.Batch(t.Context(), "process batch", time.Now(), &l)
	_, s := Start(ctx, "insert")
	s.End(nil)
	b.End(nil)
	if err := tr.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	spans, raw := r.all()
	by := map[string][]*tracepb.Span{}
	for _, s := range spans {
		by[s.GetName()] = append(by[s.GetName()], s)
	}
	if len(by["POST /x"]) != 3 || len(by["query"]) != 3 || len(by["process batch"]) != 3 || len(by["insert"]) != 1 {
		t.Fatalf("spans: %v", spans)
	}
	first, insert := by["POST /x"][0], by["insert"][0]
	if !bytes.Equal(first.GetTraceId(), insert.GetTraceId()) {
		t.Error("the insert is not in the first request's trace")
	}
	for _, req := range by["POST /x"] {
		found := false
		for _, s := range by["process batch"] {
			found = found || bytes.Equal(s.GetTraceId(), req.GetTraceId()) && bytes.Equal(s.GetParentSpanId(), req.GetSpanId()) && len(s.GetLinks()) > 0
		}
		if !found {
			t.Error("a request has no linked span of the batch below it")
		}
		if req.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR {
			t.Error("a 502 is no error")
		}
	}
	for _, secret := range []string{"secret", "what went wrong"} {
		if strings.Contains(raw, secret) {
			t.Errorf("a span says %q", secret)
		}
	}
	if r.auth[0] != "h1" {
		t.Error("the collector's headers are missing")
	}
}

// A caller's trace goes on when it is sampled, for some of them.
func TestCallersTrace(t *testing.T) {
	r := newReceiver(t)
	tr := tracer(t, r, 0)
	sampled := 0
	h := tr.Middleware(func(*http.Request) string { return "/x" })(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if Header(r.Context()) != nil {
			sampled++
			if TraceID(r.Context()) != "4bf92f3577b34da6a3ce929d0e0e4736" {
				t.Error("another trace than the caller's")
			}
		}
	}))
	call := func(header string) {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x", http.NoBody)
		req.Header.Set(HeaderName, header)
		h.ServeHTTP(httptest.NewRecorder(), req)
	}
	for _, none := range []string{"", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "garbage"} {
		call(none)
	}
	if sampled != 0 {
		t.Errorf("%d requests are traced that nobody asked for", sampled)
	}
	began := time.Now()
	for range 10 * askedRate {
		call("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	}
	// A second's worth at once, and what the seconds bring that this took.
	if most := askedRate * (2 + time.Since(began).Seconds()); sampled < askedRate || float64(sampled) > most {
		t.Errorf("%d of %d that ask are traced", sampled, 10*askedRate)
	}
	if err := tr.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestParse(t *testing.T) {
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for header, ok := range map[string]bool{
		good: true, "01" + good[2:] + "-more": true, good + "-more": false, good[:54]: false, "ff" + good[2:]: false, strings.ToUpper(good): false,
		strings.Replace(good, "-", "_", 1): false, strings.Repeat("0", 55): false, "": false,
	} {
		if got := parse([]byte(header)); got.IsValid() != ok {
			t.Errorf("%q: %v", header, got.IsValid())
		}
	}
}

// Off costs nothing: no wrapper, no allocation. On, an unsampled request pays at
// its door and nowhere behind it.
func TestOffCostsNothing(t *testing.T) {
	var off *Tracer
	next := http.NewServeMux()
	if got := off.Middleware(nil)(next); got != http.Handler(next) {
		t.Error("a handler is wrapped")
	}
	r := newReceiver(t)
	on := tracer(t, r, 0)
	defer on.Stop(t.Context())
	unsampled := t.Context()
	on.Middleware(nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { unsampled = r.Context() })).ServeHTTP(
		httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x", http.NoBody))
	var l Links
	for name, ctx := range map[string]context.Context{"off": t.Context(), "not sampled": unsampled} {
		if n := testing.AllocsPerRun(100, func() {
			c, s := Start(ctx, "insert")
			s.Text("a", "b")
			s.Int("n", 1)
			if s.Recording() || Header(c) != nil {
				t.Error("something is traced")
			}
			s.End(nil)
			for _, tr := range []*Tracer{off, on} {
				_, b := tr.Batch(ctx, "process batch", time.Time{}, &l)
				b.End(nil)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkOff(b *testing.B) {
	ctx := b.Context()
	for b.Loop() {
		_, s := Start(ctx, "insert")
		s.End(nil)
		if Header(ctx) != nil {
			b.Fatal("traced")
		}
	}
}

// canaries are what must not leave, as errors and payloads may carry it.
func canaries() []string {
	return []string{
		"ff_c4n4rykeypub_c4n4rykeysecret", "eyJhbGciOiJFZERTQSJ9.c4n4rytoken.c4n4rysig", "c4n4rypassword", "c4n4rypayload", "c4n4ry@person.example", "c4n4ryheader", "c4n4ryquery",
	}
}

// TestReports (S20): Sentry is told of errors and panics, without anything that a
// producer, a user or the configuration said.
func TestReports(t *testing.T) {
	r := newReceiver(t)
	c := canaries()
	dsn := strings.Replace(r.URL, "://", "://c4n4rydsnkey@", 1) + "/7"
	cfg := DefaultConfig()
	cfg.DSN, cfg.Version = dsn, "v1"
	rep, err := NewReporter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	log := slog.New(Traced(rep.Handler(slog.NewTextHandler(&out, nil)))).With("role", "api", "password", c[2])
	log.Info("all is well", "error", c[3])
	log.Warn("all is not quite well", "error", c[3])
	text := fmt.Sprintf("reading %q for postgres://user:%s@db/x?sslpassword=%s: Authorization: Bearer %s, key %s, api_key=%s, by %s near `%s`", c[3], c[2], c[2], c[1], c[0], c[0], c[4], c[3])
	log.WithGroup("g").Error("request failed", "error", errors.New(text), "header", c[5], "query", c[6], "request_id", "r-1")
	log.Error("handler panicked", "panic", c[3], "stack", c[3])
	func() {
		defer func() { log.Error("handler panicked too", "panic", recover()) }()
		var list []int
		_ = list[len(c)]
	}()
	rep.Stop(time.Minute)
	_, raw := r.all()
	for _, want := range []string{"request failed", "handler panicked", "index out of range [7] with length 0", "a panic with a string", `"role":"api"`, "telemetry_test.go"} {
		if !strings.Contains(raw, want) {
			t.Errorf("Sentry was not told %q in\n%s", want, raw)
		}
	}
	for _, secret := range append(c, "all is", "user:") {
		if strings.Contains(raw, secret) {
			t.Errorf("Sentry was told %q", secret)
		}
	}
	// The control: the lines themselves had them all.
	for _, secret := range c[:4] {
		if !strings.Contains(text+out.String(), secret) {
			t.Errorf("%s was never in danger", secret)
		}
	}
}

func TestReportsAreFew(t *testing.T) {
	r := newReceiver(t)
	cfg := DefaultConfig()
	cfg.DSN = strings.Replace(r.URL, "://", "://k@", 1) + "/7"
	rep, err := NewReporter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(rep.Handler(slog.NewTextHandler(new(bytes.Buffer), nil)))
	for range 1000 {
		log.Error("again")
	}
	rep.Stop(time.Minute)
	if _, raw := r.all(); strings.Count(raw, `"event_id"`) > 60 || !strings.Contains(raw, "again") {
		t.Errorf("%d events", strings.Count(raw, `"event_id"`))
	}
}

func TestValidate(t *testing.T) {
	const canary = "c4n4ry"
	cfg := Config{Endpoint: "ftp://" + canary, Headers: canary, Sample: 2, DSN: "https://" + canary + ".example"}
	err := cfg.Validate()
	for _, want := range []string{"otel.endpoint: ", "otel.headers: ", "otel.sample: ", "sentry.dsn: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), canary) {
		t.Error("a fault repeats a secret: ", err)
	}
	if tr, err := NewTracer(t.Context(), DefaultConfig(), nil); tr != nil || err != nil {
		t.Errorf("off is %v, %v", tr, err)
	}
	if rep, err := NewReporter(DefaultConfig()); rep != nil || err != nil || rep.Handler(slog.DiscardHandler) != slog.DiscardHandler {
		t.Errorf("off is %v, %v", rep, err)
	}
}
