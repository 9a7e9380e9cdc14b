package run_test

import (
	"errors"
	"testing"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/ddl"
	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
	"github.com/foodflow/foodflow/processors/run"
)

// TestGenerationOverRows: a raised generation is refused where the rows that it
// would make are there, and nothing counts twice; in an empty database it makes
// them all again.
func TestGenerationOverRows(t *testing.T) {
	w := newWorld(t)
	w.produce(4, 100, 1)
	w.until(w.stored(400))
	w.cfg.Generation = 1
	if err := w.life(t.Context()); !errors.Is(err, run.ErrRowsThere) {
		t.Errorf("over rows: %v", err)
	}
	figures := func() string {
		return w.query("SELECT count(), (SELECT sum(count) FROM readings_1m), (SELECT sum(count) FROM readings_1d) FROM readings")
	}
	if got := figures(); got != "400\t400\t400" {
		t.Errorf("the old tables hold %q", got)
	}
	cfg := clickhouse.DefaultConfig()
	cfg.URL, cfg.Database = embeddedtest.Start(t), embeddedtest.Database(t)
	var err error
	if w.ch, err = clickhouse.NewClient(cfg); err != nil {
		t.Fatal(err)
	}
	if err := ddl.Apply(t.Context(), w.ch, ddl.DefaultOptions(8)); err != nil {
		t.Fatal(err)
	}
	w.until(w.stored(400))
	if got := figures(); got != "400\t400\t400" {
		t.Errorf("the new tables hold %q", got)
	}
}
