package plant

import "math"

// EventType is the kind of a line event.
type EventType uint8

// The kinds; the numbers are stored.
const (
	// EventState says that the line entered State (with Reason) at TS.
	EventState EventType = iota
	// EventCount says that Good and Scrap units were made up to TS, since the
	// line's previous count.
	EventCount
)

// EventTypes lists the kinds by name, in order of their numbers.
func EventTypes() []string { return []string{"state", "count"} }

// String names the kind.
func (t EventType) String() string { return nameOf(EventTypes(), int(t)) }

// ParseEventType reads a name.
func ParseEventType(s string) (EventType, bool) {
	i, ok := indexOf(EventTypes(), s)
	return EventType(i), ok
}

// LineEvent is a change of a line's state or a count of what it made.
type LineEvent struct {
	Tenant ID
	Line   ID
	// ID identifies the event: the producer's own, or derived from the content
	// by EventID, so that a copy sent again has the same.
	ID ID
	// TS is the device's time, Unix milliseconds UTC.
	TS   int64
	Type EventType

	// State and Reason are set for EventState.
	State  State
	Reason string // at most MaxReason bytes; a stop reason of the tenant's tree
	// Product is the product being made from TS on, "" when unsaid.
	Product string

	// Good, Scrap and Rework are 0 to MaxCount, set for EventCount, in Unit.
	Good   float64
	Scrap  float64
	Rework float64
	Unit   string
	Seq    int64 // as Reading.Seq
}

// MaxCount is the most that one event counts of a thing.
const MaxCount = 1e12

// MaxReason, MaxUnit and MaxProduct bound the free text of an event, in bytes.
const (
	MaxReason  = 200
	MaxUnit    = 32
	MaxProduct = 100
)

// Key is the Kafka record key: the line.
func (e *LineEvent) Key() ID { return e.Line }

// EventID derives the id of an event from what it says: two events that say
// the same of the same line at the same time are one event.
func EventID(e *LineEvent) ID {
	b := make([]byte, 0, 160)
	b = append(b, e.Line[:]...)
	b = appendUint(b, uint64(e.TS))
	b = append(b, byte(e.Type), byte(e.State))
	b = appendUint(b, uint64(e.Seq))
	for _, v := range []float64{e.Good, e.Scrap, e.Rework} {
		b = appendUint(b, math.Float64bits(v))
	}
	for _, s := range []string{e.Reason, e.Unit, e.Product} {
		b = append(append(b, s...), 0)
	}
	return NameID(e.Tenant, string(b))
}

func appendUint(b []byte, v uint64) []byte {
	return append(b, byte(v>>56), byte(v>>48), byte(v>>40), byte(v>>32), byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}
