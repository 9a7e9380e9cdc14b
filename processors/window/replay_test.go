package window

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

const horizon = 60_000

// TestNothingNewIsDropped: whatever the order of times and numbers, a reading
// that never came before is not taken for a copy, and a copy of one of the last
// 32 is found.
func TestNothingNewIsDropped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type id struct {
			ts   int64
			word uint64
		}
		var w Replay
		seen := map[id]int{} // identity to when it came
		for i := range rapid.IntRange(1, 400).Draw(t, "n") {
			x := id{rapid.Int64Range(0, 300).Draw(t, "ts") * 997, rapid.Uint64Range(0, 3).Draw(t, "word")}
			last, came := seen[x]
			got := w.See(x.ts, x.word, horizon)
			if !came && got == Copy {
				t.Fatalf("reading %v is new but was taken for a copy", x)
			}
			if came && i-last <= minCapacity && got != Copy {
				t.Fatalf("a copy after %d readings was taken for new", i-last)
			}
			if got != Copy {
				seen[x] = i
			}
		}
	})
}

// TestCopiesWithinTheHorizon: whatever the pace, a copy is found while the
// sensor's time has not gone on by the horizon since the reading came, as long as
// the largest window holds what came between.
func TestCopiesWithinTheHorizon(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w Replay
		type came struct {
			ts, newest int64
			word       uint64
		}
		var all []came
		newest := int64(1_000_000)
		for range rapid.IntRange(1, 12).Draw(t, "runs") {
			pace := rapid.SampledFrom([]int64{10, 1_000, 5_000, horizon / 30, horizon, 10 * horizon}).Draw(t, "pace")
			late := rapid.SampledFrom([]int64{0, 0, 0, 3 * horizon}).Draw(t, "late")
			for range rapid.IntRange(1, 200).Draw(t, "readings") {
				newest += pace
				x := came{newest - late, newest, uint64(len(all))}
				if late > 0 {
					x.newest = max(newest-pace, w.newest)
					newest = x.newest // a late reading doesn't move the sensor's time
					x.ts = newest - late - int64(len(all))
				}
				if v := w.See(x.ts, x.word, horizon); v == Copy {
					t.Fatalf("%+v is new", x)
				}
				x.newest = w.newest
				all = append(all, x)
			}
			for _, x := range all[max(0, len(all)-maxCapacity/2):] {
				if w.newest-x.newest < horizon && w.See(x.ts, x.word, horizon) != Copy {
					t.Fatalf("a copy of %+v, at %d, counts again", x, w.newest)
				}
			}
		}
		if w.Size() > 56+8*(parts+maxCapacity) {
			t.Fatalf("%d bytes", w.Size())
		}
	})
}

// TestDeviceRestart: a sequence that begins again at zero is not a row of
// copies. A bitmap over sequence numbers would drop them: the reason for this
// design.
func TestDeviceRestart(t *testing.T) {
	var w Replay
	for boot := range 3 {
		for seq := range 20 {
			if v := w.See(int64(boot*100+seq)*1000, uint64(seq), horizon); v != New {
				t.Fatalf("boot %d seq %d: verdict %d", boot, seq, v)
			}
		}
	}
}

// TestBatchSentAgain: a whole batch of a fast sensor is recognised.
func TestBatchSentAgain(t *testing.T) {
	var w Replay
	for range 2 {
		for i := range 5000 {
			w.See(int64(i), uint64(i), horizon)
		}
	}
	for i := range 5000 {
		if w.See(int64(i), uint64(i), horizon) != Copy {
			t.Fatalf("reading %d of the batch counted twice", i)
		}
	}
	if w.Size() > 56+8*(parts+maxCapacity) {
		t.Fatalf("%d bytes", w.Size())
	}
}

func TestStateRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a, b Replay
		for range rapid.IntRange(0, 200).Draw(t, "n") {
			a.See(rapid.Int64Range(0, 1e6).Draw(t, "ts"), rapid.Uint64().Draw(t, "word"), horizon)
		}
		rest, err := b.RestoreState(append(a.AppendState(nil), 7), StateVersion)
		if err != nil || len(rest) != 1 || !reflect.DeepEqual(a, b) {
			t.Fatalf("%v, %d bytes left\n%+v\n%+v", err, len(rest), a, b)
		}
	})
}

func FuzzRestoreState(f *testing.F) {
	var w Replay
	w.See(1, 2, horizon)
	f.Add(w.AppendState(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		for version := 1; version <= StateVersion; version++ {
			var w Replay
			if _, err := w.RestoreState(b, version); err != nil {
				continue
			}
			for i := range 100 {
				w.See(int64(i), uint64(i), horizon)
			}
		}
	})
}

func BenchmarkInOrder(b *testing.B) {
	b.ReportAllocs()
	var w Replay
	for ts := int64(0); b.Loop(); ts++ {
		w.See(ts*1000, uint64(ts), horizon)
	}
}
