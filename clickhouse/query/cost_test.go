package query_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/ddl"
	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
	"github.com/foodflow/foodflow/clickhouse/query"
	"github.com/foodflow/foodflow/internal/plant"
)

// metered is a reader whose statements pass a proxy that adds up the rows that
// ClickHouse says it read.
func metered(t testing.TB) (*query.Reader, *clickhouse.Client, *atomic.Int64) {
	t.Helper()
	base, err := url.Parse(embeddedtest.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	read := &atomic.Int64{}
	p := httputil.NewSingleHostReverseProxy(base)
	p.ModifyResponse = func(r *http.Response) error {
		var s struct {
			ReadRows string `json:"read_rows"`
		}
		if err := json.Unmarshal([]byte(r.Header.Get("X-ClickHouse-Summary")), &s); err != nil {
			return err
		}
		n, err := strconv.ParseInt(s.ReadRows, 10, 64)
		read.Add(n)
		return err
	}
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	cfg := clickhouse.DefaultConfig()
	cfg.URL, cfg.Database = srv.URL, embeddedtest.Database(t)
	c, err := clickhouse.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := ddl.Apply(t.Context(), c, ddl.DefaultOptions(8)); err != nil {
		t.Fatal(err)
	}
	return query.New(c, 2*time.Minute), c, read
}

// populate writes rows of 100 sensors, one every ten seconds each, their minutes
// and OEE parts of 100 lines, and gives the time after the last.
func populate(t testing.TB, c *clickhouse.Client, rows int) (to int64) {
	t.Helper()
	per := int64(rows / 100)
	ten := time.Now().UTC().Truncate(24*time.Hour).UnixMilli() - per*10_000
	for _, q := range []string{
		fmt.Sprintf(`INSERT INTO readings (tenant_id, line_id, sensor_id, ts, value, quality, seq, score, _partition, _offset)
			SELECT toUUID('%[1]s'), toUUID('%[2]s'), toUUID(concat('00000000-0000-0000-0000-', leftPad(toString(number %% 100), 12, '0'))),
				fromUnixTimestamp64Milli(toInt64(%[3]d + intDiv(number, 100) * 10000)), sin(number), 'good', intDiv(number, 100), 0, number %% 8, intDiv(number, 8)
			FROM numbers(%[4]d)`, tenant, line, ten, rows),
		`INSERT INTO readings_1m (tenant_id, line_id, sensor_id, ts, count, valid, sum, min, max, first, last)
			SELECT tenant_id, line_id, sensor_id, toStartOfMinute(r.ts) AS minute, count(), count(), sum(value), min(value), max(value), min((r.ts, value)), max((r.ts, value))
			FROM readings AS r GROUP BY tenant_id, line_id, sensor_id, minute`,
		fmt.Sprintf(`INSERT INTO oee_parts (tenant_id, line_id, minute, product, running_ms, run_ms, good)
			SELECT toUUID('%[1]s'), toUUID(concat('00000000-0000-0000-0000-', leftPad(toString(number %% 100), 12, '0'))), toDateTime(%[2]d + intDiv(number, 100) * 60, 'UTC'), 'p', 60000, 60000, 5
			FROM numbers(%[3]d)`, tenant, ten/1000, rows/6),
	} {
		if _, err := c.Exec(t.Context(), q, nil); err != nil {
			t.Fatal(err)
		}
	}
	return ten + per*10_000
}

func numbered(i int) plant.ID { return plant.MustID(fmt.Sprintf("00000000-0000-0000-0000-%012d", i)) }

// reads are the questions of a dashboard, by name, about the n-th sensor or line.
func reads(r *query.Reader, to int64) map[string]func(tb testing.TB, n int) {
	must := func(tb testing.TB, n int, err error) {
		tb.Helper()
		if err != nil || n == 0 {
			tb.Fatalf("%d rows, %v", n, err)
		}
	}
	span := func(n int, hours int64) query.ReadingsQuery {
		return query.ReadingsQuery{Tenant: tenant, Sensor: numbered(n), From: to - hours*3_600_000, To: to, Limit: 10_000}
	}
	return map[string]func(tb testing.TB, n int){
		"latest": func(tb testing.TB, n int) {
			_, ok, err := r.Latest(tb.Context(), tenant, numbered(n))
			must(tb, map[bool]int{true: 1}[ok], err)
		},
		"hour raw": func(tb testing.TB, n int) {
			list, _, err := r.Readings(tb.Context(), span(n, 1))
			must(tb, len(list)/360, err)
		},
		"shift by minute": func(tb testing.TB, n int) {
			list, _, err := r.Buckets(tb.Context(), query.Minute, span(n, 8))
			must(tb, len(list)/480, err)
		},
		"day by hour": func(tb testing.TB, n int) {
			list, _, err := r.Buckets(tb.Context(), query.Hour, span(n, 24))
			must(tb, len(list)/24, err)
		},
		"oee of a shift": func(tb testing.TB, n int) {
			list, err := r.OEE(tb.Context(), query.OEEQuery{Tenant: tenant, Line: numbered(n), From: to - 8*3_600_000, To: to})
			must(tb, len(list), err)
		},
	}
}

// TestReadsAreBounded holds each question to what its answer needs: some
// granules of each part, whatever the table holds. The control asks a question
// that no key answers.
func TestReadsAreBounded(t *testing.T) {
	r, c, read := metered(t)
	const rows = 1_000_000
	to := populate(t, c, rows)
	const granule = 8192
	for name, ask := range reads(r, to) {
		read.Store(0)
		ask(t, 42)
		if got := read.Load(); got == 0 || got > 8*granule {
			t.Errorf("%s reads %d rows of %d", name, got, rows)
		}
	}
	read.Store(0)
	if _, err := c.Exec(t.Context(), "SELECT count() FROM readings WHERE value > 2", nil); err != nil || read.Load() < rows {
		t.Errorf("control: the meter saw %d rows, %v", read.Load(), err)
	}
}

func BenchmarkReads(b *testing.B) {
	r, c, _ := metered(b)
	to := populate(b, c, 5_000_000)
	for name, ask := range reads(r, to) {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for n := 0; b.Loop(); n++ {
				began := time.Now()
				ask(b, n%100)
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}
