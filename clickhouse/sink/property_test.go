package sink_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
	"github.com/foodflow/foodflow/clickhouse/sink"
	"github.com/foodflow/foodflow/internal/plant"
)

// dial opens ClickHouse's own driver, which knows nothing of our blocks.
func dial(t testing.TB, base, database string) driver.Conn {
	t.Helper()
	o, err := clickhouse.ParseDSN(base + "/" + database)
	if err != nil {
		t.Fatal(err)
	}
	o.Protocol = clickhouse.HTTP
	conn, err := clickhouse.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// anyID gives any 16 bytes, so that a wrong order of bytes shows.
func anyID(t *rapid.T, label string) plant.ID {
	return plant.ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label))
}

// TestAnyReadingComesBack writes random readings by our blocks and reads them
// by ClickHouse's own driver.
func TestAnyReadingComesBack(t *testing.T) {
	base := embeddedtest.Start(t)
	c := open(t, base)
	s, conn := sink.New(c, nil), dial(t, base, c.Database())
	now := time.Now().UnixMilli()
	finite := rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64)
	rapid.Check(t, func(t *rapid.T) {
		b, tenant := sink.NewReadings(), plant.NewID()
		n := rapid.IntRange(1, 40).Draw(t, "rows")
		want := map[int64]plant.Reading{}
		scores := map[int64]float32{}
		partition := rapid.Int32().Draw(t, "partition")
		for i := range int64(n) {
			r := plant.Reading{
				Tenant: tenant, Line: anyID(t, "line"), Sensor: anyID(t, "sensor"), TS: now - rapid.Int64Range(0, 150*86_400_000).Draw(t, "age"),
				Value: finite.Draw(t, "value"), Quality: plant.Quality(rapid.IntRange(0, 2).Draw(t, "quality")), Seq: rapid.Int64Min(-1).Draw(t, "seq"),
			}
			scores[i] = rapid.Float32Range(0, 1).Draw(t, "score")
			want[i] = r
			b.Append(&r, scores[i], partition, i)
		}
		if err := s.Insert(t.Context(), b, plant.NewID().String()); err != nil {
			t.Fatal(err)
		}
		rows, err := conn.Query(t.Context(), "SELECT tenant_id, line_id, sensor_id, ts, value, quality, seq, score, _partition, _offset FROM readings WHERE tenant_id = ?", uuid.UUID(tenant))
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var tn, ln, sn uuid.UUID
			var ts time.Time
			var value float64
			var quality string
			var seq, offset int64
			var score float32
			var part int32
			if err := rows.Scan(&tn, &ln, &sn, &ts, &value, &quality, &seq, &score, &part, &offset); err != nil {
				t.Fatal(err)
			}
			q, _ := plant.ParseQuality(quality)
			got := plant.Reading{Tenant: plant.ID(tn), Line: plant.ID(ln), Sensor: plant.ID(sn), TS: ts.UnixMilli(), Value: value, Quality: q, Seq: seq}
			w, ok := want[offset]
			if !ok || got != w || math.Signbit(value) != math.Signbit(w.Value) || score != scores[offset] || part != partition {
				t.Fatalf("offset %d: got %+v score %v partition %d, want %+v score %v", offset, got, score, part, w, scores[offset])
			}
			delete(want, offset)
		}
		if rows.Err() != nil || len(want) != 0 {
			t.Fatalf("%d readings did not come back, %v", len(want), rows.Err())
		}
	})
}

// TestAnyTextComesBack does the same with text of any bytes in every text
// column.
func TestAnyTextComesBack(t *testing.T) {
	base := embeddedtest.Start(t)
	c := open(t, base)
	s, conn := sink.New(c, nil), dial(t, base, c.Database())
	now := time.Now().UnixMilli()
	rapid.Check(t, func(t *rapid.T) {
		text := func(label string) string {
			return rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 300), func(b []byte) string { return string(b) })).Draw(t, label)
		}
		e := plant.LineEvent{Tenant: plant.NewID(), Line: anyID(t, "line"), ID: anyID(t, "id"), TS: now, Type: plant.EventCount, Reason: text("reason"), Product: text("product"), Unit: text("unit")}
		b := sink.NewLineEvents()
		b.Append(&e, 1, 2)
		b.Append(&plant.LineEvent{TS: now}, 1, 3)
		if err := s.Insert(t.Context(), b, plant.NewID().String()); err != nil {
			t.Fatal(err)
		}
		var reason, product, unit string
		var id uuid.UUID
		if err := conn.QueryRow(t.Context(), "SELECT event_id, reason, product, unit FROM line_events WHERE tenant_id = ?", uuid.UUID(e.Tenant)).Scan(&id, &reason, &product, &unit); err != nil {
			t.Fatal(err)
		}
		if plant.ID(id) != e.ID || reason != e.Reason || product != e.Product || unit != e.Unit {
			t.Fatalf("got %q %q %q, want %q %q %q", reason, product, unit, e.Reason, e.Product, e.Unit)
		}
	})
}

// TestAppendAllocatesNothing once a block has grown to its size.
func TestAppendAllocatesNothing(t *testing.T) {
	b, r := sink.NewReadings(), plant.Reading{TS: 1}
	fill(b, r.Tenant, 2000)
	b.Reset()
	if n := testing.AllocsPerRun(1000, func() { b.Append(&r, 0, 1, 2) }); n != 0 {
		t.Errorf("%v allocations a row", n)
	}
}

// BenchmarkDriverInsert is the same insert by ClickHouse's own driver.
func BenchmarkDriverInsert(b *testing.B) {
	for _, n := range []int{50_000, 200_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			base := embeddedtest.Start(b)
			c := open(b, base)
			conn, tenant := dial(b, base, c.Database()), uuid.New()
			sensor := uuid.New()
			for b.Loop() {
				batch, err := conn.PrepareBatch(b.Context(), "INSERT INTO readings")
				if err != nil {
					b.Fatal(err)
				}
				for i := range n {
					if err := batch.Append(tenant, uuid.UUID{}, sensor, time.UnixMilli(day0+int64(i)*1000+int64(i%2)*40*86_400_000), float64(i), "good", int64(i), float32(.5), int32(3), int64(i)); err != nil {
						b.Fatal(err)
					}
				}
				if err := batch.Send(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
