package admin_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foodflow/foodflow/internal/admin"
)

// One check that hangs must neither hold up the answer for ever nor make the
// others look bad.
func TestReadyOutwaitsNobody(t *testing.T) {
	s := admin.New("127.0.0.1:0", prometheus.NewRegistry(), "test", slog.New(slog.DiscardHandler))
	if err := s.Start(t.Context(), func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	s.AddCheck("a hangs", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	s.AddCheck("b does not heed its context", func(context.Context) error { <-t.Context().Done(); return nil })
	for _, name := range []string{"c", "d", "e", "f"} {
		s.AddCheck(name, func(ctx context.Context) error { return ctx.Err() })
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+"/readyz", http.NoBody)
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
	code, body := resp.StatusCode, string(b)
	if code != http.StatusServiceUnavailable || strings.Count(body, `"ok"`) != 4 {
		t.Errorf("%d %s", code, body)
	}
}
