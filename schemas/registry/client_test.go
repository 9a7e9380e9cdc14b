package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/testkit/leak"
	"github.com/foodflow/foodflow/schemas"
)

func TestMain(m *testing.M) { leak.Main(m) }

// served is a registry behind a server that a test can stop.
type served struct {
	*srfake.Registry
	server *httptest.Server
	asked  atomic.Int64
}

func serve(t testing.TB) *served {
	t.Helper()
	s := &served{Registry: srfake.NewRegistry()}
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		s.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(s.server.Close)
	return s
}

func client(t testing.TB, url, cache string) *Client {
	t.Helper()
	cfg := DefaultConfig()
	cfg.URL, cfg.CachePath, cfg.Backoff, cfg.Timeout = url, cache, time.Millisecond, time.Minute
	c, err := New(cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// foreignReading is what a later program may write: a field more.
func foreignReading(t testing.TB) string {
	t.Helper()
	all, err := schemas.Versions(schemas.Reading)
	if err != nil {
		t.Fatal(err)
	}
	text := all[len(all)-1]
	end := strings.LastIndex(text, "]")
	return text[:end] + `, {"name": "note", "type": "string", "default": ""}]` + text[end+1:]
}

// TestRegistryDown is P13: with the registry gone, and after a restart, what is
// known goes on: 0 errors. The control has no cache and must fail.
func TestRegistryDown(t *testing.T) {
	ctx := t.Context()
	s := serve(t)
	path := filepath.Join(t.TempDir(), "schemas.json")
	first := client(t, s.server.URL, path)
	codec, err := schemas.NewCodec(ctx, first)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := first.Register(ctx, schemas.Reading.Subject(), foreignReading(t))
	if err != nil {
		t.Fatal(err)
	}
	want := plant.Reading{Tenant: plant.NewID(), Sensor: plant.NewID(), TS: 1, Value: 2, Seq: plant.NoSeq}
	own := codec.AppendReading(nil, &want)
	other := append([]byte{0, byte(foreign >> 24), byte(foreign >> 16), byte(foreign >> 8), byte(foreign)}, own[5:]...)
	other = append(other, 2, 'x')
	decode := func(c *schemas.Codec) (errs int) {
		for range 500 {
			for _, frame := range [][]byte{own, other} {
				var got plant.Reading
				if err := c.DecodeReading(frame, &got); err != nil || got != want {
					errs++
				}
			}
		}
		return errs
	}
	if n := decode(codec); n != 0 {
		t.Fatalf("%d errors with the registry up", n)
	}
	s.server.Close()
	if n := decode(codec); n != 0 {
		t.Errorf("%d errors after the registry stopped", n)
	}
	restarted, err := schemas.NewCodec(ctx, client(t, s.server.URL, path))
	if err != nil {
		t.Fatalf("restarting with the registry down: %v", err)
	}
	n := decode(restarted)
	t.Logf("registry down, after a restart: 1000 records of 2 known schemas, %d errors", n)
	if n != 0 {
		t.Errorf("%d errors after a restart with the registry down", n)
	}
	unknown := append([]byte{0, 0, 0, 200, 0}, own[5:]...)
	var got plant.Reading
	if err := restarted.DecodeReading(unknown, &got); !errors.Is(err, schemas.ErrRegistry) || errors.Is(err, schemas.ErrUnknownSchema) {
		t.Errorf("an id never met, registry down: %v, want a transient error", err)
	}

	if _, err := schemas.NewCodec(ctx, client(t, s.server.URL, "")); !errors.Is(err, schemas.ErrRegistry) {
		t.Errorf("control: without a cache file the restart gave %v, want ErrRegistry", err)
	}
}

func TestUnknownSchema(t *testing.T) {
	s := serve(t)
	c := client(t, s.server.URL, "")
	if _, err := c.Schema(t.Context(), 4711); !errors.Is(err, schemas.ErrUnknownSchema) {
		t.Fatalf("got %v, want ErrUnknownSchema", err)
	}
	if n := s.asked.Load(); n != 1 {
		t.Errorf("asked %d times for a schema that isn't there, want 1", n)
	}
	wrongPath := client(t, s.server.URL+"/no/registry/here", "")
	if _, err := wrongPath.Schema(t.Context(), 1); !errors.Is(err, schemas.ErrRegistry) || errors.Is(err, schemas.ErrUnknownSchema) {
		t.Errorf("a 404 that is not the registry's own: %v, want ErrRegistry", err)
	}
}

func TestSchemaIsAskedForOnce(t *testing.T) {
	s := serve(t)
	id, _, err := s.RegisterSchema("x-value", sr.Schema{Schema: `"long"`})
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, s.server.URL, "")
	for range 10 {
		if text, err := c.Schema(t.Context(), id); err != nil || text != `"long"` {
			t.Fatal(text, err)
		}
	}
	if n := s.asked.Load(); n != 1 {
		t.Errorf("asked %d times, want 1", n)
	}
	if got := testutil.ToFloat64(c.metrics.cached.WithLabelValues(opSchema)); got != 9 {
		t.Errorf("counted %v answers from the cache, want 9", got)
	}
}

func TestRegisterSetsCompatibility(t *testing.T) {
	ctx := t.Context()
	s := serve(t)
	c := client(t, s.server.URL, "")
	level := func(subject string) sr.CompatibilityLevel { return c.sr.Compatibility(ctx, subject)[0].Level }
	if _, err := c.Register(ctx, "new-value", `"long"`); err != nil {
		t.Fatal(err)
	}
	if got := level("new-value"); got != sr.CompatBackwardTransitive {
		t.Errorf("a new subject got level %v", got)
	}
	if _, _, err := s.RegisterSchema("old-value", sr.Schema{Schema: `"long"`}); err != nil {
		t.Fatal(err)
	}
	if err := s.SetCompat("old-value", sr.CompatFullTransitive); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Register(ctx, "old-value", `"string"`); err != nil {
		t.Fatal(err)
	}
	if got := level("old-value"); got != sr.CompatFullTransitive {
		t.Errorf("the level of an existing subject was changed to %v", got)
	}
}

// TestAnswers: what each kind of answer of the registry means, and how often it
// is asked.
func TestAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		status, code int
		want         error
		tries        int64
	}{
		"incompatible": {409, 409, ErrIncompatible, 1},
		"overloaded":   {503, 50301, schemas.ErrRegistry, 4},
		"no rights":    {401, 40101, schemas.ErrRegistry, 4},
		"broken":       {500, 50001, schemas.ErrRegistry, 4},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				w.WriteHeader(tc.status)
				fmt.Fprintf(w, `{"error_code":%d,"message":"no"}`, tc.code)
			}))
			t.Cleanup(server.Close)
			_, err := client(t, server.URL, "").Register(t.Context(), "s", `"long"`)
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if asked.Load() != tc.tries {
				t.Errorf("asked %d times, want %d", asked.Load(), tc.tries)
			}
		})
	}
}

func TestRetriesUntilUp(t *testing.T) {
	s := serve(t)
	fails := 2
	s.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		if fails > 0 {
			fails--
			w.WriteHeader(http.StatusBadGateway)
			return true
		}
		return false
	})
	c := client(t, s.server.URL, "")
	if _, err := c.Register(t.Context(), "s", `"long"`); err != nil {
		t.Fatal(err)
	}
	if got := testutil.ToFloat64(c.metrics.requests.WithLabelValues(opRegister, "unreachable")); got != 2 {
		t.Errorf("counted %v tries that did not get through, want 2", got)
	}
}

func TestAnotherRegistryIsNoticed(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "cache")
	old := serve(t)
	c := client(t, old.server.URL, path)
	for _, text := range []string{`"int"`, `"long"`} {
		if _, err := c.Register(ctx, "s", text); err != nil {
			t.Fatal(err)
		}
	}
	fresh := serve(t) // gives id 1 to what was 2
	c = client(t, fresh.server.URL, path)
	if id, err := c.Register(ctx, "s", `"long"`); err != nil || id != 1 {
		t.Fatal(id, err)
	}
	if text, err := c.Schema(ctx, 1); err != nil || text != `"long"` {
		t.Errorf("schema 1 is %q (%v), want the new registry's", text, err)
	}
	if _, err := c.Schema(ctx, 2); !errors.Is(err, schemas.ErrUnknownSchema) {
		t.Errorf("schema 2 is still the old registry's: %v", err)
	}
}

func TestUnwritableCacheCostsNoAnswer(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := client(t, serve(t).server.URL, filepath.Join(file, "cache"))
	if _, err := c.Register(t.Context(), "s", `"long"`); err != nil {
		t.Fatal(err)
	}
	if got := testutil.ToFloat64(c.metrics.writes.WithLabelValues("failed")); got == 0 {
		t.Error("the failed write is not counted")
	}
}

func TestContextEndsTheWait(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }))
	t.Cleanup(server.Close)
	c := client(t, server.URL, "")
	c.cfg.Backoff, c.cfg.Attempts = time.Hour, 100
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Schema(ctx, 1); !errors.Is(err, schemas.ErrRegistry) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestEndlessAnswerIsCutOff(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"schema":"`))
		chunk := []byte(strings.Repeat("a", 1<<16))
		for range 256 { // 16 MiB
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	if _, err := client(t, server.URL, "").Schema(t.Context(), 1); !errors.Is(err, schemas.ErrRegistry) {
		t.Errorf("got %v, want ErrRegistry", err)
	}
}

func TestValidateNamesEveryFault(t *testing.T) {
	err := Config{URL: "ftp://u:secret@x", User: "a", Token: "b", Backoff: -1}.Validate()
	for _, want := range []string{"registry.url", "registry.token", "registry.timeout", "registry.attempts", "registry.backoff"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	if strings.Contains(fmt.Sprint(err), "secret") {
		t.Errorf("a password is in the error: %v", err)
	}
}

// TestStartWithRegistryDownIsNotSlow: one try in vain is enough for all
// subjects whose answer is at hand.
func TestStartWithRegistryDownIsNotSlow(t *testing.T) {
	s := serve(t)
	path := filepath.Join(t.TempDir(), "cache")
	if _, err := schemas.NewCodec(t.Context(), client(t, s.server.URL, path)); err != nil {
		t.Fatal(err)
	}
	s.server.Close()
	c := client(t, s.server.URL, path)
	if _, err := schemas.NewCodec(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got := testutil.ToFloat64(c.metrics.requests.WithLabelValues(opRegister, "unreachable")); got != 1 {
		t.Errorf("%v tries in vain, want 1", got)
	}
	if got := testutil.ToFloat64(c.metrics.cached.WithLabelValues(opRegister)); got != float64(len(schemas.Names())) {
		t.Errorf("%v answers from the cache, want one a subject", got)
	}
}

// TestForeignSchemaTypes: a schema that is not Avro, or that leans on others, is
// none for us, and final for the record.
func TestForeignSchemaTypes(t *testing.T) {
	s := serve(t)
	base, _, err := s.RegisterSchema("base", sr.Schema{Schema: `{"type":"record","name":"B","fields":[]}`})
	if err != nil {
		t.Fatal(err)
	}
	proto, _, err := s.RegisterSchema("p", sr.Schema{Schema: `syntax = "proto3";`, Type: sr.TypeProtobuf})
	if err != nil {
		t.Fatal(err)
	}
	leaning, _, err := s.RegisterSchema("l", sr.Schema{Schema: `{"type":"array","items":"B"}`, References: []sr.SchemaReference{{Name: "B", Subject: "base", Version: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, s.server.URL, "")
	for _, id := range []int{proto, leaning} {
		if _, err := c.Schema(t.Context(), id); !errors.Is(err, schemas.ErrUnknownSchema) {
			t.Errorf("schema %d: %v, want ErrUnknownSchema", id, err)
		}
	}
	if _, err := c.Schema(t.Context(), base); err != nil {
		t.Errorf("control: %v", err)
	}
}
