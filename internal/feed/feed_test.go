package feed

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/testkit/leak"
)

// door answers request n with answers[n], the last one for ever after.
type door struct {
	mu      sync.Mutex // guards bodies
	bodies  []string
	answers []func(http.ResponseWriter)
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // a body cut short shows in what is compared
	d.mu.Lock()
	n := len(d.bodies)
	d.bodies = append(d.bodies, r.Method+" "+r.URL.Path+" "+r.Header.Get("X-API-Key")+" "+string(body))
	d.mu.Unlock()
	d.answers[min(n, len(d.answers)-1)](w)
}

func status(code int, header ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, "words") // the client may be gone
	}
}

// cut breaks the connection without an answer.
func cut(w http.ResponseWriter) { panic(http.ErrAbortHandler) }

// torn acknowledges and breaks off in the body.
func torn(w http.ResponseWriter) {
	w.Header().Set("Content-Length", "100")
	w.WriteHeader(http.StatusAccepted)
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func client(t *testing.T, answers ...func(http.ResponseWriter)) (*Client, *door) {
	t.Helper()
	d := &door{answers: answers}
	srv := httptest.NewUnstartedServer(d)
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	srv.Start()
	t.Cleanup(srv.Close)
	cfg := DefaultConfig()
	cfg.URL, cfg.APIKey, cfg.FirstPause, cfg.LastPause = srv.URL, "ff_key", time.Millisecond, 4*time.Millisecond
	c, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, d
}

var readings = []Reading{{Sensor: "a", TS: 1_700_000_000_000, Value: 1.5, Seq: 3}}

// Whatever comes before the acknowledgement, the same request goes out again.
func TestSendsAgainUntilAcknowledged(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { leak.None(t, before) }) // behind the client's and the server's ends
	c, d := client(t, cut, status(503), status(429), status(500), cut, status(202))
	if err := c.Readings(t.Context(), readings); err != nil {
		t.Fatal(err)
	}
	if len(d.bodies) != 6 {
		t.Fatalf("%d requests", len(d.bodies))
	}
	for _, b := range d.bodies {
		if b != d.bodies[0] || !strings.HasPrefix(b, "POST /v1/readings ff_key {") {
			t.Errorf("sent %s", b)
		}
	}
}

func TestAnAcknowledgementIsEnough(t *testing.T) {
	c, d := client(t, torn)
	if err := c.Events(t.Context(), []Event{{Line: "l"}}); err != nil || len(d.bodies) != 1 {
		t.Errorf("%v after %d requests", err, len(d.bodies))
	}
}

// What sending again can't change comes back at once, with the server's words.
func TestRefusalsComeBack(t *testing.T) {
	for _, code := range []int{200, 301, 400, 401, 403, 404, 413, 422} {
		c, d := client(t, status(code))
		var refused *Refused
		if err := c.Readings(t.Context(), readings); !errors.As(err, &refused) || refused.Status != code || refused.Detail != "words" || len(d.bodies) != 1 {
			t.Errorf("%d: %v after %d requests", code, err, len(d.bodies))
		}
	}
}

func TestRetryAfterIsHeeded(t *testing.T) {
	c, _ := client(t, status(503, "Retry-After", "1"), status(202))
	began := time.Now()
	if err := c.Readings(t.Context(), readings); err != nil || time.Since(began) < time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

func TestEndsWithItsContext(t *testing.T) {
	c, _ := client(t, status(503))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := c.Readings(ctx, readings); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// The bodies are JSON that says what was given, whatever names and values.
func TestBodiesSayWhatWasGiven(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := Reading{
			Sensor: rapid.String().Draw(rt, "sensor"), TS: rapid.Int64().Draw(rt, "ts"), Value: rapid.Float64().Draw(rt, "value"),
			Quality: rapid.SampledFrom([]plant.Quality{plant.QualityGood, plant.QualityBad}).Draw(rt, "quality"), Seq: rapid.Int64Min(-1).Draw(rt, "seq"),
		}
		var got struct {
			Readings []struct {
				Sensor  string
				TS      int64
				Value   float64
				Quality string
				Seq     *int64
			}
		}
		if err := json.Unmarshal(AppendReadings(nil, []Reading{r, r}), &got); err != nil {
			rt.Fatal(err)
		}
		g := got.Readings[1]
		q, ok := plant.ParseQuality(g.Quality)
		seq := plant.NoSeq
		if g.Seq != nil {
			seq = *g.Seq
		}
		// Invalid UTF-8 in a name becomes the replacement character, as JSON asks.
		if !ok || g.Sensor != strings.ToValidUTF8(r.Sensor, "\ufffd") || (Reading{r.Sensor, g.TS, g.Value, q, seq}) != r {
			rt.Fatalf("%+v became %+v", r, g)
		}
	})
	var events struct{ Events []map[string]any }
	body := AppendEvents(nil, []Event{
		{Line: "l", TS: 1, Type: plant.EventState, State: plant.StateHeld, Reason: `a "b"`, Product: "p"},
		{Line: "l", TS: 2, Type: plant.EventCount, Good: 5, Scrap: 1, Unit: "u"},
	})
	if err := json.Unmarshal(body, &events); err != nil {
		t.Fatal(err)
	}
	s, c := events.Events[0], events.Events[1]
	if s["state"] != "HELD" || s["reason"] != `a "b"` || s["good"] != nil || c["good"] != 5.0 || c["unit"] != "u" || c["state"] != nil {
		t.Errorf("%s", body)
	}
}

func TestConfigNamesEveryFault(t *testing.T) {
	_, err := New(Config{URL: "ingest:8081"}, nil)
	for _, want := range []string{"ingest.url", "ingest.api_key", "pauses"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}
