package window

import (
	"bytes"
	"math"
	"sort"
	"testing"

	"pgregory.net/rapid"

	"github.com/foodflow/foodflow/internal/plant"
)

// merge adds two parts of one minute as the table does.
func merge(a, b plant.Minute) plant.Minute {
	if a.Count == 0 {
		return b
	}
	a.Count, a.Valid, a.Sum = a.Count+b.Count, a.Valid+b.Valid, a.Sum+b.Sum
	a.Min, a.Max = math.Min(a.Min, b.Min), math.Max(a.Max, b.Max)
	if b.FirstTS < a.FirstTS || b.FirstTS == a.FirstTS && b.First < a.First {
		a.FirstTS, a.First = b.FirstTS, b.First
	}
	if b.LastTS > a.LastTS || b.LastTS == a.LastTS && b.Last > a.Last {
		a.LastTS, a.Last = b.LastTS, b.Last
	}
	return a
}

// TestMinutesMergeToTheWhole: in any order of arrival, with the open sum handed
// out at any time and through a restart, the parts merge to what the sorted
// readings of each minute give.
func TestMinutesMergeToTheWhole(t *testing.T) {
	type reading struct {
		ts    int64
		value float64
		valid bool
	}
	rapid.Check(t, func(t *rapid.T) {
		var rs []reading
		var m Minute
		got := map[int64]plant.Minute{}
		take := func(d plant.Minute, ok bool) {
			if ok {
				got[d.Start] = merge(got[d.Start], d)
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "n") {
			r := reading{rapid.Int64Range(0, 4*MinuteMS).Draw(t, "ts"), float64(rapid.IntRange(-9, 9).Draw(t, "v")), rapid.IntRange(0, 4).Draw(t, "q") > 0}
			rs = append(rs, r)
			take(m.Add(r.ts, r.value, r.valid))
			switch rapid.IntRange(0, 9).Draw(t, "act") {
			case 0:
				take(m.Take())
			case 1:
				var again Minute
				if rest, err := again.RestoreState(append(m.AppendState(nil), 1)); err != nil || len(rest) != 1 {
					t.Fatal(err)
				}
				m = again
			}
		}
		take(m.Take())
		sort.Slice(rs, func(i, j int) bool {
			if rs[i].ts != rs[j].ts {
				return rs[i].ts < rs[j].ts
			}
			return rs[i].value < rs[j].value
		})
		want := map[int64]plant.Minute{}
		for _, r := range rs {
			var one Minute
			one.Add(r.ts, r.value, r.valid)
			want[one.open.Start] = merge(want[one.open.Start], one.open)
		}
		for start, w := range want {
			if got[start] != w {
				t.Fatalf("minute %d: %+v, want %+v", start, got[start], w)
			}
		}
	})
}

// FuzzRestoreMinute: a state is refused, or is one that comes back the same.
func FuzzRestoreMinute(f *testing.F) {
	var w Minute
	f.Add(w.AppendState(nil))
	w.Add(60_001, 4.5, true)
	w.Add(60_002, 7, false)
	f.Add(w.AppendState(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var a, again Minute
		if _, err := a.RestoreState(b); err != nil {
			return
		}
		state := a.AppendState(nil)
		rest, err := again.RestoreState(append(state, 7))
		if err != nil || len(rest) != 1 || !bytes.Equal(again.AppendState(nil), state) {
			t.Fatalf("%v, %d bytes left", err, len(rest))
		}
		a.Add(1<<40, 1, true)
	})
}
