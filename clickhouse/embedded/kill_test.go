package embedded_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
)

// insertBatch inserts a batch of 1,000 rows under its token and says whether
// the engine acknowledged it.
func insertBatch(ctx context.Context, base, table string, n int) error {
	var rows strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&rows, "%d\n", n*1000+i)
	}
	u := fmt.Sprintf("%s/?deduplicate_blocks_in_dependent_materialized_views=1&insert_deduplication_token=b%d&query=%s",
		base, n, url.QueryEscape("INSERT INTO "+table+" FORMAT TSV"))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u, strings.NewReader(rows.String()))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%d %s", resp.StatusCode, out)
	}
	return err
}

// TestKilledEngine kills the engine in the middle of inserts. What was
// acknowledged must be there after the restart, and sending every batch again
// under its token must change nothing, neither in the table nor in the target
// of its view. The second table is the negative control: its target has no
// window, so there the repetition counts twice.
func TestKilledEngine(t *testing.T) {
	dir := t.TempDir()
	e := embeddedtest.Run(t, dir)
	for _, tc := range []struct{ name, window string }{{"safe", " SETTINGS non_replicated_deduplication_window = 1000"}, {"control", ""}} {
		embeddedtest.Exec(t, e.URL, "CREATE TABLE "+tc.name+" (a UInt64) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 1000")
		embeddedtest.Exec(t, e.URL, "CREATE TABLE "+tc.name+"_sum (n UInt64) ENGINE = MergeTree ORDER BY n"+tc.window)
		embeddedtest.Exec(t, e.URL, "CREATE MATERIALIZED VIEW "+tc.name+"_mv TO "+tc.name+"_sum AS SELECT count() AS n FROM "+tc.name)
	}
	acked, sent := 0, 0
	killed := make(chan struct{})
	for failed := false; !failed; sent++ {
		if acked == 40 {
			go func() { e.Kill(); close(killed) }() // some insert is under way when it falls
		}
		for _, table := range []string{"safe", "control"} {
			if err := insertBatch(t.Context(), e.URL, table, sent); err != nil {
				failed = true
			}
		}
		if !failed {
			acked++
		}
	}
	<-killed
	t.Logf("%d batches acknowledged, %d sent", acked, sent)

	e = embeddedtest.Run(t, dir)
	for n := range acked {
		got := embeddedtest.Exec(t, e.URL, fmt.Sprintf("SELECT count() FROM safe WHERE a >= %d AND a < %d", n*1000, n*1000+1000))
		if got != "1000\n" {
			t.Fatalf("acknowledged batch %d has %q rows", n, got)
		}
	}
	for n := range sent {
		for _, table := range []string{"safe", "control"} {
			if err := insertBatch(t.Context(), e.URL, table, n); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := fmt.Sprintf("%d\t%d\n", sent*1000, sent*1000)
	if got := embeddedtest.Exec(t, e.URL, "SELECT (SELECT count() FROM safe), (SELECT sum(n) FROM safe_sum)"); got != want {
		t.Errorf("table and sum hold %q, want %q", got, want)
	}
	if got := embeddedtest.Exec(t, e.URL, "SELECT (SELECT count() FROM control), (SELECT sum(n) FROM control_sum)"); got == want {
		t.Error("without a window on the target the repetition was not counted: the test proves nothing")
	}
	if err := e.Stop(); err != nil {
		t.Errorf("a clean stop: %v", err)
	}
	e = embeddedtest.Run(t, dir)
	if got := embeddedtest.Exec(t, e.URL, "SELECT count() FROM safe"); got != fmt.Sprintf("%d\n", sent*1000) {
		t.Errorf("after a clean stop the table holds %q", got)
	}
}

// BenchmarkNativeInsert measures clickhouse-go's batches, encoding included.
func BenchmarkNativeInsert(b *testing.B) {
	base := embeddedtest.Start(b)
	for _, size := range []int{50_000, 200_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			db := embeddedtest.Database(b)
			conn, err := clickhouse.Open(&clickhouse.Options{
				Addr: []string{strings.TrimPrefix(base, "http://")}, Protocol: clickhouse.HTTP, Auth: clickhouse.Auth{Database: db},
			})
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			if err := conn.Exec(b.Context(), "CREATE TABLE t (id UInt64, ts DateTime64(3, 'UTC'), v Float64) ENGINE = MergeTree ORDER BY (id, ts)"); err != nil {
				b.Fatal(err)
			}
			ids, times, values := make([]uint64, size), make([]time.Time, size), make([]float64, size)
			for i := range size {
				ids[i], times[i], values[i] = uint64(i%1000), time.UnixMilli(1_700_000_000_000+int64(i)), float64(i%977)
			}
			for b.Loop() {
				batch, err := conn.PrepareBatch(b.Context(), "INSERT INTO t")
				if err != nil {
					b.Fatal(err)
				}
				for i, column := range []any{ids, times, values} {
					if err := batch.Column(i).Append(column); err != nil {
						b.Fatal(err)
					}
				}
				if err := batch.Send(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(size)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
