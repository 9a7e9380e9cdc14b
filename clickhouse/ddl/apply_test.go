package ddl_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/foodflow/foodflow/clickhouse/ddl"
)

func TestApplyChangesWhatIsThere(t *testing.T) {
	c := client(t)
	o := ddl.DefaultOptions(8)
	if err := ddl.Apply(t.Context(), c, o); err != nil {
		t.Fatal(err)
	}
	o.RawDays, o.MinuteDays, o.HourDays, o.DayDays, o.Window = 10, 20, 30, 40, 50_000
	for range 2 {
		if err := ddl.Apply(t.Context(), c, o); err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.Exec(t.Context(), "SELECT name, extract(engine_full, 'toIntervalDay\\\\((\\\\d+)\\\\)'), extract(engine_full, 'non_replicated_deduplication_window = (\\\\d+)') FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' ORDER BY name FORMAT TSV", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := "anomalies\t30\t50000\nline_events\t30\t50000\noee_parts\t40\t50000\nreadings\t10\t50000\nreadings_1d\t40\t50000\nreadings_1h\t30\t50000\nreadings_1m\t20\t50000\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	o.Window, o.RawDays = 1, 0
	if err := ddl.Apply(t.Context(), c, o); err == nil || !strings.Contains(err.Error(), "raw_days") || !strings.Contains(err.Error(), "window") {
		t.Errorf("bad options: %v", err)
	}
}

// TestBIViews: every view answers, and every table and column is described.
func TestBIViews(t *testing.T) {
	c := client(t)
	o := ddl.DefaultOptions(8)
	o.BI = c.Database() + "_bi"
	t.Cleanup(func() { _, _ = c.ExecAnywhere(context.WithoutCancel(t.Context()), "DROP DATABASE IF EXISTS "+o.BI) })
	if err := ddl.Apply(t.Context(), c, o); err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC() // once: two askings may lie in two hours
	hour, minute := now.Truncate(time.Hour).Format(time.DateTime), now.Truncate(time.Minute).Format(time.DateTime)
	for _, q := range []string{
		"INSERT INTO readings (ts, value, seq) SELECT now64(3), number, -1 FROM numbers(10)",
		"INSERT INTO readings_1h (ts, count, valid, sum, min, max) VALUES ('" + hour + "', 6, 6, 12, 1, 4), ('" + hour + "', 4, 4, 8, 0, 2)",
		"INSERT INTO oee_parts (minute, product, unit, good, revision) VALUES ('" + minute + "', 'p', 'bottle', 5, 0), ('" + minute + "', 'p', 'bottle', -2, 1)",
	} {
		if _, err := c.Exec(t.Context(), q, nil); err != nil {
			t.Fatal(err)
		}
	}
	for q, want := range map[string]string{
		"SELECT count(), sum(value), any(quality), any(sequence_number) FROM " + o.BI + ".readings":                          "10\t45\tgood\t\\N",
		"SELECT readings, mean_value, min_value, max_value FROM " + o.BI + ".readings_by_hour":                               "10\t2\t0\t4",
		"SELECT product, unit, good_count, revisions FROM " + o.BI + ".oee_by_minute":                                        "p\tbottle\t3\t1",
		"SELECT count() > 30, countIf(comment = '') FROM system.columns WHERE database = '" + o.BI + "'":                     "1\t0",
		"SELECT count() > 2, countIf(comment = '') FROM system.tables WHERE database = '" + o.BI + "'":                       "1\t0",
		"SELECT count() FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND comment = ''": "0",
	} {
		got, err := c.Exec(t.Context(), q+" FORMAT TSV", nil)
		if err != nil || strings.TrimSpace(got) != want {
			t.Errorf("%s: %q, %v; want %q", q, got, err, want)
		}
	}
}

// TestApplyAtOnce: several roles start together.
func TestApplyAtOnce(t *testing.T) {
	c := client(t)
	var g errgroup.Group
	for range 4 {
		g.Go(func() error { return ddl.Apply(t.Context(), c, ddl.DefaultOptions(8)) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := ddl.Check(t.Context(), c, 8); err != nil {
		t.Fatal(err)
	}
}
