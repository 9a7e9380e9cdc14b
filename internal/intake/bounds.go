package intake

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// Bounds is how far a device's time may be from the server's clock.
type Bounds struct {
	Future time.Duration
	// Past ends a day before the raw table forgets.
	Past time.Duration
}

// DefaultBounds take ten minutes of a fast clock and what the raw table keeps.
func DefaultBounds() Bounds {
	return Bounds{Future: 10 * time.Minute, Past: 179 * 24 * time.Hour}
}

// Validate names every fault at once.
func (b Bounds) Validate() error {
	if b.Future <= 0 || b.Past <= 0 {
		return errors.New("intake.bounds: future and past must be positive")
	}
	return nil
}

// Time holds a time to the bounds, both in Unix milliseconds; "" when it keeps
// them.
func (b Bounds) Time(ts, now int64) (rule, message string) {
	switch {
	case ts > now+b.Future.Milliseconds():
		return "in_future", "is later than the server's clock by more than " + b.Future.String()
	case ts < now-b.Past.Milliseconds():
		return "too_old", "is older than what the store keeps"
	}
	return "", ""
}

// Reading names the first rule that a decoded reading breaks; nil: none.
func (b Bounds) Reading(r *plant.Reading, now int64) *fault.Item {
	if rule, message := b.Time(r.TS, now); rule != "" {
		return &fault.Item{Location: "ts", Rule: rule, Message: message}
	}
	if math.IsNaN(r.Value) || math.IsInf(r.Value, 0) {
		return &fault.Item{Location: "value", Rule: "not_finite", Message: "is too large for a double"}
	}
	if math.Abs(r.Value) > plant.MaxValue {
		return &fault.Item{Location: "value", Rule: "range", Message: fmt.Sprintf("must be within %g and %g", -plant.MaxValue, plant.MaxValue)}
	}
	if r.Seq < 0 && r.Seq != plant.NoSeq {
		return &fault.Item{Location: "seq", Rule: "range", Message: "must be a whole number from 0 to 2^63-1"}
	}
	return nil
}

// Count holds what an event counts of a thing to what can be.
func Count(field string, v float64) *fault.Item {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return &fault.Item{Location: field, Rule: "not_finite", Message: "is too large for a double"}
	case v < 0:
		return &fault.Item{Location: field, Rule: "negative", Message: "must not be negative"}
	case v > plant.MaxCount:
		return &fault.Item{Location: field, Rule: "range", Message: fmt.Sprintf("must be at most %g", plant.MaxCount)}
	}
	return nil
}

// State reads the name of a state that a line can be said to be in.
func State(name string) (plant.State, *fault.Item) {
	s, ok := plant.ParseState(name)
	if !ok || s == plant.StateUndefined {
		return s, &fault.Item{Location: "state", Rule: "unknown", Message: "is no PackML state (EXECUTE, HELD, STOPPED, LACK, TAILBACK, CIP, …)"}
	}
	return s, nil
}

// Text holds a text of an event to its length in bytes.
func Text(field, v string, limit int) *fault.Item {
	if len(v) > limit {
		return &fault.Item{Location: field, Rule: "too_long", Message: "is too long"}
	}
	return nil
}
