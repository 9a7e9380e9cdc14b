package quota

import (
	"math"
	"slices"
	"time"
)

// Policy is how fast and how much at once. One without a rate limits nothing.
type Policy struct {
	// Name tells policies apart in headers and problems, e.g. "tenant-readings".
	Name      string
	PerSecond float64
	Burst     float64
}

// Limited reports whether the policy holds anybody back.
func (p Policy) Limited() bool { return p.PerSecond > 0 }

// Window is how long an empty bucket takes to fill.
func (p Policy) Window() time.Duration { return seconds(p.Burst / p.PerSecond) }

// Charge is what a request costs one subject under one policy.
type Charge[K comparable] struct {
	Who    K
	Policy Policy
	Cost   float64
}

// State is how a bucket stands after a request.
type State struct {
	Policy    Policy
	Remaining float64       // negative: owed
	Reset     time.Duration // until the bucket is full
}

// Result is what became of a request.
type Result struct {
	OK bool
	// Nearest is the policy with the least left, or the one that refused.
	Nearest State
	// RetryAfter is when the request would pass; 0 when it did.
	RetryAfter time.Duration
	// Policies are all that hold the request.
	Policies []Policy
}

// Join adds what another charge of the same request came to.
func (r *Result) Join(o Result) {
	if len(o.Policies) == 0 {
		return
	}
	if len(r.Policies) == 0 {
		*r = o
		return
	}
	for _, p := range o.Policies {
		if !slices.ContainsFunc(r.Policies, func(q Policy) bool { return q.Name == p.Name }) {
			r.Policies = append(r.Policies, p)
		}
	}
	switch {
	case !r.OK:
	case !o.OK, o.Nearest.share() < r.Nearest.share(), o.Nearest.Policy.Name == r.Nearest.Policy.Name:
		r.OK, r.Nearest, r.RetryAfter = o.OK, o.Nearest, o.RetryAfter
	}
}

// share is the part of the bucket that is left.
func (s State) share() float64 { return s.Remaining / s.Policy.Burst }

func seconds(s float64) time.Duration {
	if s >= math.MaxInt64/float64(time.Second) {
		return math.MaxInt64
	}
	return time.Duration(s * float64(time.Second))
}
