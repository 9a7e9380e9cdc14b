package quota

import (
	"math"
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

func seconds(s float64) time.Duration {
	if s >= math.MaxInt64/float64(time.Second) {
		return math.MaxInt64
	}
	return time.Duration(s * float64(time.Second))
}
