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
	if w.Size() > 64+8*maxCapacity {
		t.Fatalf("%d bytes", w.Size())
	}
}

func TestStateRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a, b Replay
		for range rapid.IntRange(0, 200).Draw(t, "n") {
			a.See(rapid.Int64Range(0, 1e6).Draw(t, "ts"), rapid.Uint64().Draw(t, "word"), horizon)
		}
		rest, err := b.RestoreState(append(a.AppendState(nil), 7))
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
		var w Replay
		if _, err := w.RestoreState(b); err != nil {
			return
		}
		for i := range 100 {
			w.See(int64(i), uint64(i), horizon)
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
