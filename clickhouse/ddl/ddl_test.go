package ddl_test

import (
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
	if err := ddl.Check(t.Context(), c); err == nil || !strings.Contains(err.Error(), "readings is missing") {
		t.Fatalf("an empty database passed: %v", err)
	}
	for range 2 {
		if err := ddl.Apply(t.Context(), c, ddl.DefaultOptions()); err != nil {
			t.Fatal(err)
		}
	}
	if err := ddl.Check(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// TestCheckFindsAMissingWindow takes the setting away from each table in turn.
func TestCheckFindsAMissingWindow(t *testing.T) {
	c := client(t)
	if err := ddl.Apply(t.Context(), c, ddl.DefaultOptions()); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"readings", "readings_1m", "readings_1h", "readings_1d", "line_events", "anomalies", "oee_parts"} {
		if _, err := c.Exec(t.Context(), "ALTER TABLE "+table+" MODIFY SETTING non_replicated_deduplication_window = 0", nil); err != nil {
			t.Fatal(err)
		}
		err := ddl.Check(t.Context(), c)
		if err == nil || !strings.Contains(err.Error(), "table "+table+": non_replicated_deduplication_window is 0") {
			t.Fatalf("%s without its window passed: %v", table, err)
		}
		if _, err := c.Exec(t.Context(), "ALTER TABLE "+table+" MODIFY SETTING non_replicated_deduplication_window = 1000", nil); err != nil {
			t.Fatal(err)
		}
	}
}
