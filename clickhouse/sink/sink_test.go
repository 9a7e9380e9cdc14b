package sink_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/ddl"
	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
	"github.com/foodflow/foodflow/clickhouse/sink"
	"github.com/foodflow/foodflow/internal/plant"
)

func open(t testing.TB, base string) *clickhouse.Client {
	t.Helper()
	cfg := clickhouse.DefaultConfig()
	cfg.URL, cfg.Database = base, embeddedtest.Database(t)
	c, err := clickhouse.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := ddl.Apply(t.Context(), c, ddl.DefaultOptions(8)); err != nil {
		t.Fatal(err)
	}
	return c
}

// day0 is a midnight seven weeks back: old enough for the rows to lie in two
// months, young enough for the raw table's TTL.
var day0 = time.Now().UTC().Truncate(24 * time.Hour).Add(-50 * 24 * time.Hour).UnixMilli()

// fill appends n readings of one sensor, a second apart, from two months.
func fill(b *sink.Readings, tenant plant.ID, n int) {
	sensor := plant.NameID(tenant, "sensor")
	for i := range n {
		r := plant.Reading{Tenant: tenant, Sensor: sensor, TS: day0 + int64(i)*1000 + int64(i%2)*40*86_400_000, Value: float64(i), Seq: int64(i)}
		if i%10 == 0 {
			r.Quality = plant.QualityBad
		}
		b.Append(&r, 0.5, 3, int64(i))
	}
}

// fillMinutes makes three minutes of a sensor, one without a valid reading.
func fillMinutes(tenant plant.ID) *sink.Minutes {
	b, sensor := sink.NewMinutes(), plant.NameID(tenant, "sensor")
	for i := range int64(3) {
		m := plant.Minute{Start: day0 + i*60_000, Count: 10, Min: math.Inf(1), Max: math.Inf(-1)}
		if i < 2 {
			m.Valid, m.Sum, m.Min, m.Max = 10, 30, 1, 9
			m.FirstTS, m.First, m.LastTS, m.Last = m.Start+1, 4+float64(i)*2, m.Start+2, 3+float64(i)*2
		}
		b.Append(&tenant, &plant.ID{}, &sensor, &m)
	}
	return b
}

func query(t testing.TB, c *clickhouse.Client, q string) string {
	t.Helper()
	out, err := c.Exec(t.Context(), q+" FORMAT TSVRaw", nil)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func TestRowsComeBack(t *testing.T) {
	c := open(t, embeddedtest.Start(t))
	s := sink.New(c, nil)
	tenant := plant.NewID()
	b := sink.NewReadings()
	fill(b, tenant, 100)
	if err := s.Insert(t.Context(), b, "a"); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%s\t%s\t100\t4950\t99\t0.5\t3\t99\t10\t%d", tenant, plant.NameID(tenant, "sensor"), day0)
	if got := query(t, c, "SELECT any(tenant_id), any(sensor_id), count(), sum(value), max(seq), any(score), any(_partition), max(_offset), countIf(quality = 'bad'), toUnixTimestamp64Milli(min(ts)) FROM readings"); got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	minutes := fillMinutes(tenant)
	if err := s.Insert(t.Context(), minutes, "a"); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"readings_1m", "readings_1h", "readings_1d"} {
		got := query(t, c, "SELECT sum(count), sum(valid), sum(sum), min(min), max(max), min(first).2, max(last).2 FROM "+table)
		if got != "30\t20\t60\t1\t9\t4\t5" {
			t.Errorf("%s: %s", table, got)
		}
	}
}

func TestOtherTables(t *testing.T) {
	c := open(t, embeddedtest.Start(t))
	s := sink.New(c, nil)
	ev, an, pa := sink.NewLineEvents(), sink.NewAnomalies(), sink.NewOEEParts()
	ev.Append(&plant.LineEvent{Tenant: plant.NewID(), ID: plant.NewID(), TS: day0, State: plant.StateHeld, Reason: "jam \n'\x00"}, 1, 2)
	an.Append(&plant.Anomaly{ID: plant.NewID(), Kind: plant.AnomalyLimitHH, TS: day0, Value: 9, Expected: 8, Score: .75})
	part := plant.OEEPart{Minute: day0, Product: "cola", RunMS: 60_000, Good: -1}
	part.TimeMS[plant.ClassRunning] = 60_000
	pa.Append(&part, 4)
	for _, b := range []sink.Block{ev, an, pa} {
		if err := s.Insert(t.Context(), b, "x"); err != nil {
			t.Fatal(err)
		}
	}
	if got := query(t, c, "SELECT state, reason = 'jam \\n\\'\\0' FROM line_events"); got != "HELD\t1" {
		t.Error(got)
	}
	if got := query(t, c, "SELECT kind, value, score FROM anomalies"); got != "limit_hh\t9\t0.75" {
		t.Error(got)
	}
	if got := query(t, c, "SELECT product, running_ms, run_ms, good FROM oee_parts"); got != "cola\t60000\t60000\t-1" {
		t.Error(got)
	}
}

// TestLostReplies (P6) loses the answer of every insert once and sends it again:
// the token makes the repetition count once, in the table and in every rollup.
// The negative control changes the token with each try.
func TestLostReplies(t *testing.T) {
	for name, tc := range map[string]struct {
		token func(try int) string
		extra bool
	}{
		"same token":                         {func(int) string { return "t" }, false},
		"control: another token at each try": {func(try int) string { return fmt.Sprint("t", try) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			base, lose := dropReplies(t, embeddedtest.Start(t))
			c := open(t, base)
			s := sink.New(c, nil)
			b := sink.NewReadings()
			fill(b, plant.NewID(), 1000)
			const lost = 2 // answers of each insert
			sent, before := 0, duplicates(t, c)
			for _, block := range []sink.Block{b, fillMinutes(plant.NewID())} {
				for try := 0; ; try++ {
					lose.Store(try < lost)
					sent++
					err := s.Insert(t.Context(), block, tc.token(try))
					if err == nil {
						break
					}
					if !clickhouse.IsTransient(err) {
						t.Fatal(err)
					}
				}
			}
			got := query(t, c, "SELECT (SELECT count() FROM readings), (SELECT sum(count) FROM readings_1m), (SELECT sum(count) FROM readings_1h), (SELECT sum(count) FROM readings_1d)")
			known := duplicates(t, c) - before
			t.Logf("inserts sent %d, answers lost %d, blocks known by their token %d; readings and rollups %s", sent, 2*lost, known, got)
			if want := "1000\t30\t30\t30"; (got != want) != tc.extra {
				t.Fatalf("the tables hold %s, want %s: %v", got, want, !tc.extra)
			}
			if (known > 0) == tc.extra {
				t.Errorf("%d blocks were known by their token", known)
			}
		})
	}
}

// dropReplies is a proxy that passes requests on and, while told to, cuts the
// connection in place of the answer.
func dropReplies(t *testing.T, target string) (string, *atomic.Bool) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	lose := &atomic.Bool{}
	p := httputil.NewSingleHostReverseProxy(u)
	p.ModifyResponse = func(*http.Response) error {
		if lose.Load() {
			return errors.New("lost")
		}
		return nil
	}
	p.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	srv := httptest.NewUnstartedServer(p)
	srv.Config.ErrorLog = nil
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.URL, lose
}

func TestErrorsAreClassified(t *testing.T) {
	c := open(t, embeddedtest.Start(t))
	for name, tc := range map[string]struct {
		err       error
		transient bool
	}{
		"unknown table": {second(c.Exec(t.Context(), "INSERT INTO nothing VALUES (1)", nil)), false},
		"bad type":      {second(c.Send(t.Context(), "INSERT INTO readings (value) FORMAT TSV", nil, bytes.NewReader([]byte("x\n")), 2)), false},
		"throttled":     {&clickhouse.Exception{Status: 500, Code: 252}, true},
		"proxy":         {&clickhouse.Exception{Status: 503}, true},
		"network":       {fmt.Errorf("asking: %w", io.ErrUnexpectedEOF), true},
		"cancelled":     {context.Canceled, false},
	} {
		if tc.err == nil || clickhouse.IsTransient(tc.err) != tc.transient {
			t.Errorf("%s: %v is transient: %v", name, tc.err, !tc.transient)
		}
	}
}

func second(_ string, err error) error { return err }

func BenchmarkInsert(b *testing.B) {
	for _, rows := range []int{50_000, 200_000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			c := open(b, embeddedtest.Start(b))
			s := sink.New(c, nil)
			block, tenant := sink.NewReadings(), plant.NewID()
			for n := 0; b.Loop(); n++ {
				block.Reset()
				fill(block, tenant, rows)
				if err := s.Insert(b.Context(), block, fmt.Sprint(n)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// TestSharedWindowForgets is the control of ddl.TestWindowGrowsWithSlots: a
// window that is too small for those who share it forgets a token while its
// insert may still come again, and then counts twice.
func TestSharedWindowForgets(t *testing.T) {
	c := open(t, embeddedtest.Start(t))
	if _, err := c.Exec(t.Context(), "ALTER TABLE readings_1m MODIFY SETTING non_replicated_deduplication_window = 20", nil); err != nil {
		t.Fatal(err)
	}
	s := sink.New(c, nil)
	one := func(token string) {
		m := sink.NewMinutes()
		m.Append(&plant.ID{1}, &plant.ID{2}, &plant.ID{3}, &plant.Minute{Start: day0, Count: 1})
		if err := s.Insert(t.Context(), m, token); err != nil {
			t.Fatal(err)
		}
	}
	one("a lost reply")
	one("a lost reply")
	if got := query(t, c, "SELECT sum(count) FROM readings_1m"); got != "1" {
		t.Fatalf("%s readings of 1: a repetition is not known at all", got)
	}
	for i := range 25 {
		one(fmt.Sprint("another slot ", i))
	}
	one("a lost reply")
	if got := query(t, c, "SELECT sum(count) FROM readings_1m"); got != "27" {
		t.Errorf("%s readings, want 27: a window of 20 remembers more than 20, and the other test shows nothing", got)
	}
}
