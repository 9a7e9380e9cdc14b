package auth

import (
	"sync"
	"time"
)

// throttle counts failures of a source in a sliding window of two halves. What is
// being tried counts as a failure until it is known, so that a thousand tries at
// once are no more than the limit either.
type throttle struct {
	limit  int
	window time.Duration

	mu   sync.Mutex // guards the maps and turn
	now  map[string]int
	last map[string]int
	open map[string]int // tries whose end isn't known
	turn time.Time
}

// maxSources bounds the memory that sources with ever new names can take; past
// it the window is cut short, which forgets old failures sooner.
const maxSources = 100_000

func newThrottle(limit int, window time.Duration) *throttle {
	return &throttle{limit: limit, window: window, now: map[string]int{}, last: map[string]int{}, open: map[string]int{}}
}

// enter begins a try of a source, or gives how long it must wait: until failures
// are forgotten, or for a moment where other tries are under way. Who entered
// leaves.
func (t *throttle) enter(source string, at time.Time) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.roll(at)
	failed := t.now[source] + t.last[source]
	switch {
	case failed >= t.limit:
		return max(t.turn.Add(t.window).Sub(at), time.Second)
	case failed+t.open[source] >= t.limit:
		return time.Second
	}
	t.open[source]++
	return 0
}

// leave ends a try.
func (t *throttle) leave(source string, at time.Time, failed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open[source]--; t.open[source] <= 0 {
		delete(t.open, source)
	}
	if failed {
		t.roll(at)
		t.now[source]++
	}
}

// clear forgets a source's failures.
func (t *throttle) clear(source string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.now, source)
	delete(t.last, source)
}

func (t *throttle) roll(at time.Time) {
	if at.Sub(t.turn) < t.window && len(t.now) < maxSources {
		return
	}
	if at.Sub(t.turn) >= 2*t.window {
		t.now = map[string]int{}
	}
	t.last, t.now, t.turn = t.now, map[string]int{}, at
}
