package auth

import (
	"sync"
	"time"
)

// throttle counts failures of a source in a sliding window of two halves.
type throttle struct {
	limit  int
	window time.Duration

	mu   sync.Mutex // guards both maps and turn
	now  map[string]int
	last map[string]int
	turn time.Time
}

// maxSources bounds the memory that sources with ever new names can take; past
// it the window is cut short, which forgets old failures sooner.
const maxSources = 100_000

func newThrottle(limit int, window time.Duration) *throttle {
	return &throttle{limit: limit, window: window, now: map[string]int{}, last: map[string]int{}}
}

// wait gives how long a source must wait; 0: not at all.
func (t *throttle) wait(source string, at time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.roll(at)
	if t.now[source]+t.last[source] < t.limit {
		return 0
	}
	return max(t.turn.Add(t.window).Sub(at), time.Second)
}

// fail counts a failure.
func (t *throttle) fail(source string, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.roll(at)
	t.now[source]++
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
