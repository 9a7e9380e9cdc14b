package simulate

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/feed"
)

// way remembers what came by it.
type way struct {
	mu       sync.Mutex // guards the rest
	readings []feed.Reading
	events   []feed.Event
	err      error
}

func (w *way) Readings(_ context.Context, r []feed.Reading) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.readings = append(w.readings, r...)
	return w.err
}

func (w *way) Events(_ context.Context, e []feed.Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e...)
	return w.err
}

// TestWays: each sensor and line goes one way only, in order, nothing is left
// out; at the share that simulate has by default both ways get some of both
// kinds of the demo plant; a way that fails fails all.
func TestWays(t *testing.T) {
	var readings []feed.Reading
	var events []feed.Event
	for round := range int64(5) {
		for _, l := range demo.Describe().Lines {
			events = append(events, feed.Event{Line: l.Key, TS: round})
			for i := range l.Sensors {
				readings = append(readings, feed.Reading{Sensor: l.Sensors[i].Key, TS: round})
			}
		}
	}
	for _, share := range []float64{0, 0.5, 1} {
		one, other := &way{}, &way{}
		w := Ways{One: one, Other: other, Share: share}
		if err := errors.Join(w.Readings(t.Context(), readings), w.Events(t.Context(), events)); err != nil {
			t.Fatal(err)
		}
		mixed := share == 0.5
		if (len(one.readings) > 0) != (share < 1) || (len(other.readings) > 0) != (share > 0) || mixed && (len(one.events) == 0 || len(other.events) == 0) {
			t.Errorf("share %v: %d and %d readings, %d and %d events", share, len(one.readings), len(other.readings), len(one.events), len(other.events))
		}
		if len(one.readings)+len(other.readings) != len(readings) || len(one.events)+len(other.events) != len(events) {
			t.Errorf("share %v: some are lost or doubled", share)
		}
		seen := map[string]*way{}
		for _, x := range []*way{one, other} {
			if !slices.IsSortedFunc(x.readings, func(a, b feed.Reading) int { return int(a.TS - b.TS) }) {
				t.Errorf("share %v: the order is lost", share)
			}
			for _, r := range x.readings {
				if seen[r.Sensor] == nil {
					seen[r.Sensor] = x
				}
				if seen[r.Sensor] != x {
					t.Errorf("share %v: %s goes both ways", share, r.Sensor)
				}
			}
		}
	}
	broken := errors.New("broken")
	w := Ways{One: &way{}, Other: &way{err: broken}, Share: 0.5}
	if err := w.Readings(t.Context(), readings); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if err := w.Events(t.Context(), events); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
