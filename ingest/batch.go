package ingest

import (
	"fmt"

	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/intake"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/telemetry"
)

// Directory is what ingest asks of the master data.
type Directory interface {
	SensorBytes(tenant plant.ID, idOrKey []byte) (*directory.Sensor, bool)
	LineBytes(tenant plant.ID, idOrKey []byte) (*directory.Line, bool)
}

// Encoder turns readings and events into Kafka values.
type Encoder interface {
	AppendReading(dst []byte, r *plant.Reading) []byte
	AppendLineEvent(dst []byte, e *plant.LineEvent) []byte
}

// Batch is what one request brought: the records that are good, as they go to
// Kafka, and what is wrong with the others. It is used again for other
// requests.
type Batch struct {
	dir    Directory
	enc    Encoder
	limits Limits

	tenant plant.ID
	now    int64 // Unix milliseconds
	list   string
	// topic is the sensor or line that the way a message came by names, nil when
	// the message itself must; with it, the time may be missing too.
	topic []byte
	// arrivals number the items that have no time of their own; those of a message
	// that was kept and comes again are numbered by its id.
	arrivals *intake.Arrivals
	kept     plant.ID

	arena  []byte // values of all records, one behind the other
	keys   []plant.ID
	ends   []int // end of record i in arena
	errors []fault.Item
	faults int // what is wrong, listed or not; an item may have several
	bad    int // bad items
	items  int // good and bad
	marks  []Mark

	reading plant.Reading
	event   plant.LineEvent
	name    []byte // of the sensor or line, where it came as a string

	left bool // see Leave
}

// NewBatch makes an empty batch.
func NewBatch(dir Directory, enc Encoder, limits Limits) *Batch {
	return &Batch{dir: dir, enc: enc, limits: limits, arrivals: intake.NewArrivals()}
}

// Leave says that the records are still in use when the batch is given back: its
// memory goes to nobody else.
func (b *Batch) Leave() { b.left = true }

// Reset empties the batch for a request of tenant at now. list names the items
// in error locations.
func (b *Batch) Reset(tenant plant.ID, now int64, list string) {
	b.tenant, b.now, b.list, b.topic, b.kept = tenant, now, list, nil, plant.ID{}
	b.arena, b.keys, b.ends, b.errors = b.arena[:0], b.keys[:0], b.ends[:0], b.errors[:0]
	b.faults, b.bad, b.items = 0, 0, 0
	b.marks = b.marks[:0]
}

// Len is the number of good records; Record gives one. Key and value alias the
// batch.
func (b *Batch) Len() int { return len(b.keys) }

// Record gives the i-th good record.
func (b *Batch) Record(i int) (key *plant.ID, value []byte) {
	from := 0
	if i > 0 {
		from = b.ends[i-1]
	}
	return &b.keys[i], b.arena[from:b.ends[i]:b.ends[i]]
}

// Mark says that the records from At on came in a trace, up to the next mark.
type Mark struct {
	At    int
	Trace []telemetry.Pair // nil: in none
}

// Mark notes the trace, or that there is none, of the records that begin at so
// many.
func (b *Batch) Mark(at int, trace []telemetry.Pair) {
	if n := len(b.marks); trace != nil || n > 0 && b.marks[n-1].Trace != nil {
		b.marks = append(b.marks, Mark{at, trace})
	}
}

// Marks gives the marks in order. A request that has one trace has none: that is
// its context's.
func (b *Batch) Marks() []Mark { return b.marks }

// Items is the number of items that were read, Bad that of the bad ones.
func (b *Batch) Items() int { return b.items }

// Bad is the number of items that break a rule.
func (b *Batch) Bad() int { return b.bad }

// Errors lists what is wrong, up to Limits.Errors; Faults counts all of it.
func (b *Batch) Errors() []fault.Item { return b.errors }

// Faults is how many things are wrong; an item may have several.
func (b *Batch) Faults() int { return b.faults }

// Err is the error of the whole batch if any item is bad.
func (b *Batch) Err() error {
	if b.bad == 0 {
		return nil
	}
	e := fault.NewInvalid(append([]fault.Item(nil), b.errors...)...)
	e.Detail = fmt.Sprintf("%d of %d items break a rule; nothing was accepted", b.bad, b.items)
	e.Total, e.Rejected = b.faults, b.bad
	return e
}

// refuse enters what is wrong with field of item i.
func (b *Batch) refuse(i int, field, rule, message string) {
	b.faults++
	if len(b.errors) < b.limits.Errors {
		loc := fmt.Sprintf("%s[%d]", b.list, i)
		if field != "" {
			loc += "." + field
		}
		b.errors = append(b.errors, fault.Item{Location: loc, Rule: rule, Message: message})
	}
}

// next counts an item; false when there are too many.
func (b *Batch) next(s *scanner) bool {
	b.items++
	if b.items > b.limits.Items {
		s.err = fault.New(fault.TooLarge, "more than %d items in one request", b.limits.Items)
		s.pos = len(s.b)
		return false
	}
	return true
}

// keep enters the encoded record behind the last one.
func (b *Batch) keep(key plant.ID) {
	b.keys = append(b.keys, key)
	b.ends = append(b.ends, len(b.arena))
}
