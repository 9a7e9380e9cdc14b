package quota

import (
	"container/list"
	"sync"
	"time"
)

// Limiter holds the buckets of subjects named by K.
type Limiter[K comparable] struct {
	size int

	mu      sync.Mutex // guards the rest
	buckets map[name[K]]*list.Element
	order   *list.List // of *bucket[K], the longest unused first
}

type name[K comparable] struct {
	who    K
	policy string
}

// bucket is what one subject has left under one policy.
type bucket[K comparable] struct {
	name  name[K]
	level float64
	at    time.Time // when level was right
}

// New makes a limiter of at most size buckets.
func New[K comparable](size int) *Limiter[K] {
	return &Limiter[K]{size: max(size, 1), buckets: map[name[K]]*list.Element{}, order: list.New()}
}

// Take takes all charges, or none of them and says when to come back. Charges
// whose policy limits nothing are passed over. A cost of 0 asks whether there is
// anything left at all.
func (l *Limiter[K]) Take(now time.Time, charges ...Charge[K]) Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := Result{OK: true}
	for i := range charges {
		c := &charges[i]
		if !c.Policy.Limited() {
			continue
		}
		b := l.bucket(c, now)
		r.Policies = append(r.Policies, c.Policy)
		// A whole token must be there even for what costs nothing yet: what is
		// let in on less would be refused once its cost is known.
		if lack := min(max(c.Cost, 1), c.Policy.Burst) - b.level; lack > slack {
			if wait := seconds(lack / c.Policy.PerSecond); r.OK || wait > r.RetryAfter {
				r.OK, r.RetryAfter, r.Nearest = false, wait, state(b, c)
			}
		}
	}
	if !r.OK {
		return r
	}
	first := true
	for i := range charges {
		c := &charges[i]
		if !c.Policy.Limited() {
			continue
		}
		b := l.bucket(c, now)
		b.level -= c.Cost
		if now := state(b, c); first || now.share() < r.Nearest.share() {
			first, r.Nearest = false, now
		}
	}
	return r
}

// slack is the part of a token that adding up small times may lose.
const slack = 1e-6

// bucket finds a charge's bucket and fills it up to now.
func (l *Limiter[K]) bucket(c *Charge[K], now time.Time) *bucket[K] {
	n := name[K]{c.Who, c.Policy.Name}
	if e, ok := l.buckets[n]; ok {
		l.order.MoveToBack(e)
		b, _ := e.Value.(*bucket[K])
		if d := now.Sub(b.at); d > 0 {
			b.level, b.at = b.level+d.Seconds()*c.Policy.PerSecond, now
		}
		// A policy that was made smaller meanwhile holds from now on.
		b.level = min(b.level, c.Policy.Burst)
		return b
	}
	for len(l.buckets) >= l.size {
		oldest := l.order.Front()
		if old, ok := l.order.Remove(oldest).(*bucket[K]); ok {
			delete(l.buckets, old.name)
		}
	}
	b := &bucket[K]{name: n, level: c.Policy.Burst, at: now}
	l.buckets[n] = l.order.PushBack(b)
	return b
}

func state[K comparable](b *bucket[K], c *Charge[K]) State {
	return State{Policy: c.Policy, Remaining: b.level, Reset: seconds((c.Policy.Burst - b.level) / c.Policy.PerSecond)}
}
