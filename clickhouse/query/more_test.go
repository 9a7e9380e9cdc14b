package query_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/foodflow/foodflow/clickhouse/query"
	"github.com/foodflow/foodflow/clickhouse/sink"
	"github.com/foodflow/foodflow/internal/plant"
)

func TestLatest(t *testing.T) {
	r, s := open(t)
	if _, ok, err := r.Latest(t.Context(), tenant, sensor); ok || err != nil {
		t.Fatalf("of nothing: %v, %v", ok, err)
	}
	b := sink.NewReadings()
	for i, minute := range []int64{3, 9, 1, 9, 4} {
		x := plant.Reading{Tenant: tenant, Line: line, Sensor: sensor, TS: day0 + minute*60_000, Value: float64(i)}
		b.Append(&x, 0, 1, int64(i))
		x.Tenant, x.TS = plant.NameID(tenant, "other"), x.TS+1
		b.Append(&x, 0, 1, int64(i))
	}
	insert(t, s, b)
	got, ok, err := r.Latest(t.Context(), tenant, sensor)
	if err != nil || !ok || got.TS != day0+9*60_000 || got.Value != 3 || got.Offset != 3 {
		t.Errorf("got %+v, %v, %v", got, ok, err)
	}
}

// TestOffsets finds each gap and each double, and none where there is none.
func TestOffsets(t *testing.T) {
	r, s := open(t)
	b := sink.NewReadings()
	for partition, offsets := range map[int32][]int64{0: {5, 6, 7, 8}, 1: {10, 11, 14}, 2: {1, 2, 2, 3, 3, 3}} {
		for _, o := range offsets {
			b.Append(&plant.Reading{Tenant: tenant, Sensor: sensor, TS: day0 + o}, 0, partition, o)
		}
	}
	insert(t, s, b)
	got, err := r.Offsets(t.Context(), "readings")
	if err != nil || len(got) != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, want := range []string{"rows 4 first 5 last 8 missing 0 doubles 0", "rows 3 first 10 last 14 missing 2 doubles 0", "rows 6 first 1 last 3 missing 0 doubles 3"} {
		g := &got[i]
		if s := fmt.Sprintf("rows %d first %d last %d missing %d doubles %d", g.Rows, g.First, g.Last, g.Missing(), g.Doubles()); s != want || g.Partition != int32(i) {
			t.Errorf("partition %d: %s, want %s", g.Partition, s, want)
		}
	}
	if _, err := r.Offsets(t.Context(), "readings; DROP TABLE readings"); err == nil {
		t.Error("any table is taken")
	}
}

func TestLineEventsPagesCoverOnce(t *testing.T) {
	r, s := open(t)
	b := sink.NewLineEvents()
	for i := range 25 {
		e := plant.LineEvent{Tenant: tenant, Line: line, ID: plant.NewID(), TS: day0 + int64(i/4), Type: plant.EventType(i % 2), Good: float64(i), Reason: "x\t\\"}
		b.Append(&e, 0, int64(i))
		e.Line = sensor
		b.Append(&e, 0, int64(i))
	}
	insert(t, s, b)
	for typ, want := range map[string]int{"": 25, "state": 13, "count": 12} {
		seen := map[plant.ID]bool{}
		q := query.LineEventsQuery{Tenant: tenant, Line: line, Type: typ, From: day0, To: day0 + 1000, Limit: 4}
		for {
			list, more, err := r.LineEvents(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for i := range list {
				if seen[list[i].ID] || list[i].Reason != "x\t\\" {
					t.Fatalf("again, or damaged: %+v", list[i])
				}
				seen[list[i].ID] = true
			}
			if !more {
				break
			}
			k := list[len(list)-1].Key()
			q.After = &k
		}
		if len(seen) != want {
			t.Errorf("type %q: %d events, want %d", typ, len(seen), want)
		}
	}
}

// TestHostileParameters passes text that ClickHouse would read as an escape or
// as the end of a field. Each is a value like any other.
func TestHostileParameters(t *testing.T) {
	r, s := open(t)
	b := sink.NewLineEvents()
	b.Append(&plant.LineEvent{Tenant: tenant, Line: line, ID: plant.NewID(), TS: day0, Type: plant.EventState}, 0, 0)
	insert(t, s, b)
	for _, v := range []string{`\`, `\\`, `\t`, `\N`, "a\tb", "a\nb", "\x00", "'", "' OR 1=1 --", "{kind:String}", "\xff\xfe", "%00", "state\\0"} {
		list, _, err := r.LineEvents(t.Context(), query.LineEventsQuery{Tenant: tenant, Line: line, Type: v, From: day0, To: day0 + 1, Limit: 10})
		if err != nil || len(list) != 0 {
			t.Errorf("%q: %d events, %v", v, len(list), err)
		}
		if _, _, err := r.Anomalies(t.Context(), query.AnomaliesQuery{Tenant: tenant, Kind: v, From: day0, To: day0 + 1, Limit: 10}); err != nil {
			t.Errorf("%q: %v", v, err)
		}
	}
}

// TestLineStates gives the states of a span with the one before it, in the
// order in which the ledger takes them.
func TestLineStates(t *testing.T) {
	r, s := open(t)
	b := sink.NewLineEvents()
	for i, sec := range []int64{10, 30, 20, 40, 40, 90_000} {
		e := plant.LineEvent{Tenant: tenant, Line: line, ID: plant.NameID(tenant, fmt.Sprint(i)), TS: day0 + sec*1000, Type: plant.EventState, State: plant.State(i + 1), Reason: fmt.Sprint(i)}
		b.Append(&e, 0, int64(i))
		e.Line = sensor
		b.Append(&e, 0, int64(i))
		e.Line, e.Type, e.TS = line, plant.EventCount, e.TS+1
		b.Append(&e, 0, int64(i))
	}
	insert(t, s, b)
	for span, want := range map[[2]int64]string{
		{0, 5}: "", {0, 11}: "0", {11, 12}: "0", {25, 40}: "2 1", {30, 31}: "2 1", {41, 50}: "", {10, 41}: "0 2 1", {80_000, 90_000}: "",
	} {
		list, err := r.LineStates(t.Context(), tenant, line, day0+span[0]*1000, day0+span[1]*1000)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for i, x := range list {
			if i > 0 && x.TS < list[i-1].TS {
				t.Errorf("%v: out of order", span)
			}
			got += x.Reason + " "
		}
		if want == "" && span[0] >= 41 || span == [2]int64{10, 41} {
			if len(list) == 0 || list[len(list)-1].TS != day0+40_000 {
				t.Errorf("%v: %v", span, list)
			}
			continue
		}
		if want != "" && !strings.HasSuffix(got, want+" ") || want == "" && got != "" {
			t.Errorf("%v: %q, want %q", span, got, want)
		}
	}
}
