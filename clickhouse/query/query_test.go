package query_test

import (
	"math"
	"testing"
	"time"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/ddl"
	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
	"github.com/foodflow/foodflow/clickhouse/query"
	"github.com/foodflow/foodflow/clickhouse/sink"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/processors/window"
)

var (
	tenant = plant.NameID(plant.ID{}, "tenant")
	sensor = plant.NameID(tenant, "sensor")
	line   = plant.NameID(tenant, "line")
	day0   = time.Now().UTC().Truncate(24 * time.Hour).Add(-3 * 24 * time.Hour).UnixMilli()
)

func open(t testing.TB) (*query.Reader, *sink.Sink) {
	t.Helper()
	cfg := clickhouse.DefaultConfig()
	cfg.URL, cfg.Database = embeddedtest.Start(t), embeddedtest.Database(t)
	c, err := clickhouse.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := ddl.Apply(t.Context(), c, ddl.DefaultOptions(8)); err != nil {
		t.Fatal(err)
	}
	return query.New(c, 2*time.Minute), sink.New(c, nil)
}

func insert(t testing.TB, s *sink.Sink, b sink.Block) {
	t.Helper()
	if err := s.Insert(t.Context(), b, plant.NewID().String()); err != nil {
		t.Fatal(err)
	}
}

// TestReadingsPagesCoverOnce reads every page, with readings that share a
// time, and compares with what was written.
func TestReadingsPagesCoverOnce(t *testing.T) {
	r, s := open(t)
	b := sink.NewReadings()
	const n = 100
	for i := range n {
		x := plant.Reading{Tenant: tenant, Line: line, Sensor: sensor, TS: day0 + int64(i/3)*1000, Value: float64(i), Seq: int64(i)}
		b.Append(&x, 0.25, 2, int64(i))
		x.Tenant = plant.NameID(tenant, "other")
		b.Append(&x, 0.25, 2, int64(i))
	}
	insert(t, s, b)
	q := query.ReadingsQuery{Tenant: tenant, Sensor: sensor, From: day0, To: day0 + 3_600_000, Limit: 7}
	var got []query.Reading
	for {
		list, more, err := r.Readings(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, list...)
		if !more {
			break
		}
		k := list[len(list)-1].Key()
		q.After = &k
	}
	if len(got) != n {
		t.Fatalf("%d readings, want %d", len(got), n)
	}
	for i, x := range got {
		if x.Value != float64(i) || x.Seq != int64(i) || x.Quality != "good" || x.Score != 0.25 || x.TS != day0+int64(i/3)*1000 {
			t.Fatalf("reading %d: %+v", i, x)
		}
	}
}

// TestBucketsAgreeWithRaw recomputes each minute from the raw readings.
func TestBucketsAgreeWithRaw(t *testing.T) {
	r, s := open(t)
	b, minutes := sink.NewReadings(), sink.NewMinutes()
	var sum window.Minute
	for i := range 300 {
		x := plant.Reading{Tenant: tenant, Line: line, Sensor: sensor, TS: day0 + int64(i)*1000, Value: math.Sin(float64(i)) * 10, Seq: -1}
		if i%7 == 0 || i < 60 {
			x.Quality = plant.QualityBad
		}
		b.Append(&x, 0, 1, int64(i))
		if m, ok := sum.Add(x.TS, x.Value, x.Quality != plant.QualityBad); ok {
			minutes.Append(&x.Tenant, &x.Line, &x.Sensor, &m)
		}
	}
	if m, ok := sum.Take(); ok {
		minutes.Append(&tenant, &line, &sensor, &m)
	}
	insert(t, s, b)
	insert(t, s, minutes)
	q := query.ReadingsQuery{Tenant: tenant, Sensor: sensor, From: day0, To: day0 + 300_000, Limit: 1000}
	raw, _, err := r.Readings(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	got, more, err := r.Buckets(t.Context(), query.Minute, q)
	if err != nil || more || len(got) != 5 {
		t.Fatalf("%d buckets, more %v, %v", len(got), more, err)
	}
	for i, g := range got {
		var sum, first, last float64
		var valid, count uint64
		for _, x := range raw[i*60 : i*60+60] {
			count++
			if x.Quality == "bad" {
				continue
			}
			if valid == 0 {
				first = x.Value
			}
			valid, sum, last = valid+1, sum+x.Value, x.Value
		}
		if g.TS != day0+int64(i)*60_000 || g.Count != count || g.Valid != valid {
			t.Fatalf("bucket %d: %+v, want count %d valid %d", i, g, count, valid)
		}
		if valid == 0 {
			if g.Mean != nil || g.Min != nil || g.First != nil {
				t.Errorf("bucket %d has figures of nothing: %+v", i, g)
			}
			continue
		}
		if math.Abs(*g.Mean-sum/float64(valid)) > 1e-9 || *g.First != first || *g.Last != last {
			t.Errorf("bucket %d: mean %v first %v last %v", i, *g.Mean, *g.First, *g.Last)
		}
	}
	q.Limit = 2
	two, more, err := r.Buckets(t.Context(), query.Minute, q)
	if err != nil || !more || len(two) != 2 {
		t.Fatalf("page: %d, %v, %v", len(two), more, err)
	}
	q.After = &query.ReadingKey{TS: two[1].TS}
	if rest, more, err := r.Buckets(t.Context(), query.Minute, q); err != nil || !more || rest[0].TS != day0+120_000 {
		t.Fatalf("next page %+v, %v, %v", rest, more, err)
	}
}

func TestAnomalies(t *testing.T) {
	r, s := open(t)
	b := sink.NewAnomalies()
	for i := range 9 {
		b.Append(&plant.Anomaly{ID: plant.NewID(), Tenant: tenant, Line: line, Sensor: sensor, Kind: plant.AnomalyKind(i % 3), TS: day0 + int64(i/2), Since: day0, Value: float64(i), Score: float32(i) / 10})
	}
	insert(t, s, b)
	q := query.AnomaliesQuery{Tenant: tenant, From: day0, To: day0 + 1000, Limit: 4}
	seen := map[plant.ID]bool{}
	for {
		list, more, err := r.Anomalies(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range list {
			seen[a.ID] = true
		}
		if !more {
			break
		}
		last := list[len(list)-1]
		q.After = &query.AnomalyKey{TS: last.TS, ID: last.ID}
	}
	if len(seen) != 9 {
		t.Errorf("%d anomalies over all pages, want 9", len(seen))
	}
	q.After, q.Limit = nil, 100
	for name, c := range map[string]struct {
		change func(*query.AnomaliesQuery)
		want   int
	}{
		"kind":         {func(q *query.AnomaliesQuery) { q.Kind = "flatline" }, 3},
		"score":        {func(q *query.AnomaliesQuery) { q.MinScore = 0.65 }, 2},
		"sensor":       {func(q *query.AnomaliesQuery) { q.Sensor = sensor }, 9},
		"other sensor": {func(q *query.AnomaliesQuery) { q.Sensor = line }, 0},
		"other tenant": {func(q *query.AnomaliesQuery) { q.Tenant = line }, 0},
	} {
		qq := q
		c.change(&qq)
		list, _, err := r.Anomalies(t.Context(), qq)
		if err != nil || len(list) != c.want {
			t.Errorf("%s: %d, want %d, %v", name, len(list), c.want, err)
		}
	}
}

func TestOEESumsParts(t *testing.T) {
	r, s := open(t)
	b := sink.NewOEEParts()
	for i := range 120 {
		p := plant.OEEPart{Tenant: tenant, Line: line, Minute: day0 + int64(i)*60_000, Product: "p", Unit: "bottle", PlannedBusyMS: 60_000, RunMS: 45_000, IdealGoodMS: 30_000, IdealTotalMS: 36_000, Total: 120, Good: 100, Scrap: 20, Policy: 1}
		p.TimeMS[plant.ClassRunning], p.TimeMS[plant.ClassBreakdown] = 45_000, 15_000
		b.Append(&p, 0)
	}
	insert(t, s, b)
	for _, c := range []struct {
		bucket int64
		want   int
	}{{0, 1}, {3_600_000, 2}, {60_000, 120}} {
		got, err := r.OEE(t.Context(), query.OEEQuery{Tenant: tenant, Line: line, From: day0, To: day0 + 7_200_000, BucketMS: c.bucket})
		if err != nil || len(got) != c.want {
			t.Fatalf("bucket %d: %d rows, %v", c.bucket, len(got), err)
		}
		var run, down int64
		var good float64
		for _, g := range got {
			run, down, good = run+g.Run, down+g.Breakdown, good+g.Good
		}
		if run != 120*45_000 || down != 120*15_000 || good != 12_000 || got[0].Units != "bottle" || got[0].TS != day0 {
			t.Errorf("bucket %d: %+v", c.bucket, got[0])
		}
	}
}

func TestAwayIsUnavailable(t *testing.T) {
	cfg := clickhouse.DefaultConfig()
	cfg.URL = "http://127.0.0.1:1"
	c, err := clickhouse.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := query.New(c, time.Second).Ping(t.Context()); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("got %v", err)
	}
}
