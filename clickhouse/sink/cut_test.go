package sink_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
	"github.com/foodflow/foodflow/clickhouse/sink"
	"github.com/foodflow/foodflow/internal/plant"
)

// TestCutRequests ends the connection after some bytes of an insert, as a
// process killed while it sends does. Nothing of it may be stored: what was
// would take the token, and the repetition of the whole would be dropped.
func TestCutRequests(t *testing.T) {
	base, keep := cutRequests(t, embeddedtest.Start(t))
	c := open(t, base)
	s := sink.New(c, nil)
	readings, minutes := sink.NewReadings(), sink.NewMinutes()
	const rows = 100_000
	fill(readings, plant.NewID(), rows)
	for i := range int64(rows) {
		minutes.Append(&plant.ID{1}, &plant.ID{2}, &plant.ID{3}, &plant.Minute{Start: day0 + i*60_000, Count: 1})
	}
	for _, b := range []sink.Block{readings, minutes} {
		for _, share := range []float64{0.0001, 0.1, 0.5, 0.9, 0.9999, 0.999999} {
			keep.Store(int64(float64(b.Bytes()) * share))
			if err := s.Insert(t.Context(), b, "t"); !clickhouse.IsTransient(err) {
				t.Fatalf("%s cut at %v: %v", b.Table(), share, err)
			}
			keep.Store(0)
			if got := query(t, c, "SELECT count() FROM "+b.Table()); got != "0" {
				t.Fatalf("%s cut at %v: %s rows were stored", b.Table(), share, got)
			}
		}
		if err := s.Insert(t.Context(), b, "t"); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := query(t, c, totals), strings.Repeat("\t100000", 4)[1:]; got != want {
		t.Fatalf("the tables hold %s, want %s", got, want)
	}
}

// cutRequests is a proxy that passes on only so many bytes of a request's body
// while the number is positive.
func cutRequests(t *testing.T, target string) (string, *atomic.Int64) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	keep := &atomic.Int64{}
	p := httputil.NewSingleHostReverseProxy(u)
	p.Transport = cutting{keep}
	p.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	return srv.URL, keep
}

type cutting struct{ keep *atomic.Int64 }

// RoundTrip passes a request on, cut short.
func (c cutting) RoundTrip(r *http.Request) (*http.Response, error) {
	n := c.keep.Load()
	if n == 0 {
		return http.DefaultTransport.RoundTrip(r)
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(io.MultiReader(io.LimitReader(r.Body, n), broken{}))
	return http.DefaultTransport.RoundTrip(r)
}

type broken struct{}

// Read fails.
func (broken) Read([]byte) (int, error) { return 0, fmt.Errorf("cut") }
