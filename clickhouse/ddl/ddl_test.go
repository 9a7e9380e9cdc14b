package ddl_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/ddl"
	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
)

func client(t *testing.T) *clickhouse.Client {
	t.Helper()
	cfg := clickhouse.DefaultConfig()
	cfg.URL, cfg.Database = embeddedtest.Start(t), embeddedtest.Database(t)
	c, err := clickhouse.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestApplyTwiceAndCheck(t *testing.T) {
	c := client(t)
	err := ddl.Check(t.Context(), c, 8)
	if !errors.Is(err, clickhouse.ErrUnfit) || clickhouse.IsTransient(err) || !strings.Contains(err.Error(), "readings is missing") {
		t.Fatalf("an empty database passed, or is waited for: %v", err)
	}
	for range 2 {
		if err := ddl.Apply(t.Context(), c, ddl.DefaultOptions(8)); err != nil {
			t.Fatal(err)
		}
	}
	if err := ddl.Check(t.Context(), c, 8); err != nil {
		t.Fatal(err)
	}
}

// TestCheckFindsAMissingWindow takes the setting away from each table in turn.
func TestCheckFindsAMissingWindow(t *testing.T) {
	c := client(t)
	if err := ddl.Apply(t.Context(), c, ddl.DefaultOptions(8)); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"readings", "readings_1m", "readings_1h", "readings_1d", "line_events", "anomalies", "oee_parts"} {
		if _, err := c.Exec(t.Context(), "ALTER TABLE "+table+" MODIFY SETTING non_replicated_deduplication_window = 0", nil); err != nil {
			t.Fatal(err)
		}
		err := ddl.Check(t.Context(), c, 8)
		if err == nil || !strings.Contains(err.Error(), "table "+table+": non_replicated_deduplication_window is 0") {
			t.Fatalf("%s without its window passed: %v", table, err)
		}
		if _, err := c.Exec(t.Context(), "ALTER TABLE "+table+" MODIFY SETTING non_replicated_deduplication_window = 20000", nil); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWindowGrowsWithSlots: all slots share a table's window. What covers ten
// minutes of eight slots' inserts is refused for sixty-four; applied anew for
// them, it is enough. TestSharedWindowForgets is the control.
func TestWindowGrowsWithSlots(t *testing.T) {
	for slots, least := range map[int]int{0: 10_000, 1: 10_000, 8: 8 * 3 * 600, 64: 64 * 3 * 600, 1024: 200 * 600} {
		if got := ddl.WindowFor(slots); got != least {
			t.Errorf("%d slots: a window of %d, want %d", slots, got, least)
		}
	}
	c := client(t)
	if err := ddl.Apply(t.Context(), c, ddl.DefaultOptions(8)); err != nil {
		t.Fatal(err)
	}
	if err := ddl.Check(t.Context(), c, 64); err == nil || !strings.Contains(err.Error(), "table readings: non_replicated_deduplication_window is 14400, must be at least 115200") {
		t.Errorf("a window of eight slots for sixty-four: %v", err)
	}
	if err := ddl.Apply(t.Context(), c, ddl.DefaultOptions(64)); err != nil {
		t.Fatal(err)
	}
	if err := ddl.Check(t.Context(), c, 64); err != nil {
		t.Error(err)
	}
}

// TestCheckFindsEachFault breaks one thing at a time; Check must name it, and
// nothing but it. Mended, it must pass.
func TestCheckFindsEachFault(t *testing.T) {
	c := client(t)
	exec := func(q string) {
		t.Helper()
		if _, err := c.Exec(t.Context(), q, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct{ name, damage, want, mend string }{
		{"a view is gone", "DROP VIEW readings_1h_mv", "view readings_1h_mv is missing", "SELECT 1"},
		{"a view feeds another table", "DROP VIEW readings_1d_mv; CREATE MATERIALIZED VIEW readings_1d_mv TO readings_1h AS SELECT tenant_id FROM readings", "view readings_1d_mv does not feed readings_1d", "DROP VIEW readings_1d_mv"},
		{"a foreign view sums without a window", "CREATE TABLE mine (n UInt64) ENGINE = SummingMergeTree ORDER BY (); CREATE MATERIALIZED VIEW mine_mv TO mine AS SELECT count() AS n FROM readings", "table mine: non_replicated_deduplication_window is 0", "ALTER TABLE mine MODIFY SETTING non_replicated_deduplication_window = 50000"},
		{"a foreign view keeps its own rows", "CREATE MATERIALIZED VIEW own_mv ENGINE = SummingMergeTree ORDER BY () AS SELECT count() AS n FROM readings", "view own_mv keeps its rows in a table of its own", "DROP VIEW own_mv"},
		{"a table is gone", "DROP TABLE line_events", "table line_events is missing", "SELECT 1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := ddl.Apply(t.Context(), c, ddl.DefaultOptions(8)); err != nil {
				t.Fatal(err)
			}
			if err := ddl.Check(t.Context(), c, 8); err != nil {
				t.Fatalf("before: %v", err)
			}
			for _, q := range strings.Split(tc.damage, "; ") {
				exec(q)
			}
			err := ddl.Check(t.Context(), c, 8)
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want only: %s", err, tc.want)
			}
			exec(tc.mend)
			if err := ddl.Apply(t.Context(), c, ddl.DefaultOptions(8)); err != nil {
				t.Fatal(err)
			}
			if err := ddl.Check(t.Context(), c, 8); err != nil {
				t.Errorf("after: %v", err)
			}
		})
	}
}
