package admin_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foodflow/foodflow/internal/admin"
)

func serve(t *testing.T, g prometheus.Gatherer) *admin.Server {
	t.Helper()
	s := admin.New("127.0.0.1:0", g, "v1", slog.New(slog.DiscardHandler))
	if err := s.Start(t.Context(), func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	return s
}

func get(t *testing.T, s *admin.Server, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func registry(t *testing.T, value float64) *prometheus.Registry {
	t.Helper()
	r := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "foodflow_test_things_total", Help: "Things."})
	c.Add(value)
	r.MustRegister(c)
	return r
}

func TestHealth(t *testing.T) {
	s := serve(t, registry(t, 1))
	var broken error
	s.AddCheck("store", func(context.Context) error { return broken })
	if code, body := get(t, s, "/readyz"); code != 200 || !strings.Contains(body, `"store":"ok"`) {
		t.Errorf("ready: %d %s", code, body)
	}
	broken = errors.New("away")
	if code, body := get(t, s, "/readyz"); code != 503 || !strings.Contains(body, `"store":"away"`) {
		t.Errorf("not ready: %d %s", code, body)
	}
	broken = nil
	var parts [2]error
	for i, name := range []string{"part a", "part b"} {
		s.AddPart(name, func(context.Context) error { return parts[i] })
	}
	for _, c := range []struct {
		store, a, b error
		code        int
	}{{nil, nil, nil, 200}, {nil, errors.New("a is away"), nil, 200}, {nil, errors.New("a is away"), errors.New("b is away"), 503}, {errors.New("away"), nil, nil, 503}} {
		broken, parts = c.store, [2]error{c.a, c.b}
		if code, body := get(t, s, "/readyz"); code != c.code || strings.Contains(body, "a is away") != (c.a != nil) {
			t.Errorf("%v: %d %s", c, code, body)
		}
	}
	for _, path := range []string{"/livez", "/version", "/debug/pprof/"} {
		if code, _ := get(t, s, path); code != 200 {
			t.Errorf("%s: %d", path, code)
		}
	}
}

func TestFederation(t *testing.T) {
	peer := serve(t, registry(t, 7))
	f := admin.Federation{Own: registry(t, 3), Role: "up", Peers: map[string]string{"ingest": "http://" + peer.Addr(), "gone": "http://127.0.0.1:1"}}
	_, body := get(t, serve(t, f), "/metrics")
	for _, want := range []string{
		`foodflow_test_things_total{role="up"} 3`, `foodflow_test_things_total{role="ingest"} 7`,
		`foodflow_admin_role_up{role="ingest"} 1`, `foodflow_admin_role_up{role="gone"} 0`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
}
