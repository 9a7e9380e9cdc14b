package sink_test

import (
	"strconv"
	"testing"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
	"github.com/foodflow/foodflow/clickhouse/sink"
	"github.com/foodflow/foodflow/internal/plant"
)

const totals = "SELECT (SELECT count() FROM readings), (SELECT sum(count) FROM readings_1m), (SELECT sum(count) FROM readings_1h), (SELECT sum(count) FROM readings_1d)"

// TestHalfDoneInserts lets an insert fail in one of the views after others, or
// the table, may have taken their rows. The repetition completes what is
// missing and repeats nothing.
func TestHalfDoneInserts(t *testing.T) {
	for _, name := range []string{"a_mv", "readings_1h_mv_x", "z_mv"} {
		t.Run(name, func(t *testing.T) {
			c := open(t, embeddedtest.Start(t))
			for _, q := range []string{
				"CREATE TABLE broken (n UInt8) ENGINE = MergeTree ORDER BY () SETTINGS non_replicated_deduplication_window = 1000",
				"CREATE MATERIALIZED VIEW " + name + " TO broken AS SELECT throwIf(count = 10) AS n FROM readings_1m",
			} {
				if _, err := c.Exec(t.Context(), q, nil); err != nil {
					t.Fatal(err)
				}
			}
			s, b := sink.New(c, nil), fillMinutes(plant.NewID())
			for range 2 {
				if err := s.Insert(t.Context(), b, "t"); err == nil {
					t.Fatal("the broken view let it pass")
				}
			}
			t.Logf("left behind: %s", query(t, c, totals))
			if _, err := c.Exec(t.Context(), "DROP VIEW "+name+" SYNC", nil); err != nil {
				t.Fatal(err)
			}
			if err := s.Insert(t.Context(), b, "t"); err != nil {
				t.Fatal(err)
			}
			if got := query(t, c, totals); got != "0\t30\t30\t30" {
				t.Errorf("the tables hold %s, want 30 in each rollup", got)
			}
		})
	}
}

// TestOneInsertIsOnePartAMonth: a token names blocks, so an insert must not be
// cut into several by the server's own sizes.
func TestOneInsertIsOnePartAMonth(t *testing.T) {
	c := open(t, embeddedtest.Start(t))
	for _, table := range []string{"readings", "readings_1m"} {
		if _, err := c.Exec(t.Context(), "SYSTEM STOP MERGES "+table, nil); err != nil {
			t.Fatal(err)
		}
	}
	s, readings, minutes := sink.New(c, nil), sink.NewReadings(), sink.NewMinutes()
	fill(readings, plant.NewID(), 300_000) // beyond the server's default block of 65,409 rows
	for i := range int64(100_000) {
		minutes.Append(&plant.ID{1}, &plant.ID{2}, &plant.ID{3}, &plant.Minute{Start: day0 + i*60_000, Count: 1})
	}
	for _, b := range []sink.Block{readings, minutes, readings, minutes} {
		if err := s.Insert(t.Context(), b, "t"); err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range []string{"readings", "readings_1m"} {
		months := query(t, c, "SELECT uniqExact(toYYYYMM(ts)) FROM "+table)
		if got := query(t, c, "SELECT count() FROM system.parts WHERE active AND database = currentDatabase() AND table = '"+table+"'"); got != months {
			t.Errorf("%s: one insert left %s parts for %s months", table, got, months)
		}
	}
}

// TestManyMonths: rows of three years' months in one insert, as a client that
// sends its archive makes them, and the same again. Minutes past their TTL may
// go at once, so the rollup that is kept longest is counted.
func TestManyMonths(t *testing.T) {
	c := open(t, embeddedtest.Start(t))
	s, b := sink.New(c, nil), sink.NewMinutes()
	for i := range int64(36) {
		b.Append(&plant.ID{1}, &plant.ID{2}, &plant.ID{3}, &plant.Minute{Start: day0 - i*30*86_400_000, Count: 1})
	}
	for range 3 {
		if err := s.Insert(t.Context(), b, "t"); err != nil {
			t.Fatal(err)
		}
	}
	if got := query(t, c, "SELECT sum(count) FROM readings_1d"); got != "36" {
		t.Errorf("the days hold %s readings, want 36", got)
	}
}

// duplicates is how many blocks the engine has recognised as repetitions.
func duplicates(t *testing.T, c *clickhouse.Client) int {
	t.Helper()
	n, err := strconv.Atoi(query(t, c, "SELECT sum(value) FROM system.events WHERE event = 'DuplicatedInsertedBlocks'"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestRepetitionsAreRecognised asks the engine itself whether a repetition was
// told by its token, since right totals could also come from a lost insert.
func TestRepetitionsAreRecognised(t *testing.T) {
	c := open(t, embeddedtest.Start(t))
	s, readings, minutes := sink.New(c, nil), sink.NewReadings(), fillMinutes(plant.NewID())
	fill(readings, plant.NewID(), 100)
	for i, tc := range []struct {
		token string
		told  bool
	}{{"a", false}, {"a", true}, {"b", false}, {"a", true}, {"b", true}} {
		for _, b := range []sink.Block{readings, minutes} {
			before := duplicates(t, c)
			if err := s.Insert(t.Context(), b, tc.token); err != nil {
				t.Fatal(err)
			}
			if got := duplicates(t, c) - before; (got > 0) != tc.told {
				t.Errorf("insert %d of %s under %q: %d blocks told as repetitions", i, b.Table(), tc.token, got)
			}
		}
	}
	if got := query(t, c, totals); got != "200\t60\t60\t60" {
		t.Errorf("the tables hold %s, want 200 and 60 in each rollup", got)
	}
}
