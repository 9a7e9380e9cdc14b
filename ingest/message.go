package ingest

import (
	"bytes"

	"github.com/foodflow/foodflow/internal/intake"
	"github.com/foodflow/foodflow/internal/plant"
)

// ReadMessage reads what came for one sensor or line by a way that names it,
// such as an MQTT topic: an object, an array of objects, or for a sensor a bare
// number that was measured now. The objects may leave the name and the time
// out; a name that differs from the topic's is refused. What has no time of its
// own is a new item each time that it comes.
func (b *Batch) ReadMessage(kind Kind, name, payload []byte) error {
	b.topic = name
	item := b.readReading
	if kind == Events {
		item = b.readEvent
	}
	s := &scanner{b: payload}
	switch c := s.peek(); {
	case c == '[':
		s.array(func(i int) {
			if b.next(s) {
				item(s, i)
			}
		})
	case c != '{' && kind == Readings:
		b.items = 1
		b.bareNumber(s)
	default:
		b.items = 1
		item(s, 0)
	}
	s.end()
	return s.err
}

// AddMessage is ReadMessage for a batch of several messages: what is wrong with
// one refuses that one, and leaves nothing of it in the batch. Items, Errors and
// Faults speak of the last message.
func (b *Batch) AddMessage(kind Kind, name, payload []byte) error {
	keys := len(b.keys)
	b.items, b.bad, b.faults, b.errors = 0, 0, 0, b.errors[:0]
	err := b.ReadMessage(kind, name, payload)
	if err == nil {
		err = b.Err()
	}
	if err != nil {
		b.Undo(keys)
	}
	b.topic = nil // a view of what the caller goes on with
	return err
}

// Undo takes the records behind the first keep ones back.
func (b *Batch) Undo(keep int) {
	end := 0
	if keep > 0 {
		end = b.ends[keep-1]
	}
	b.keys, b.ends, b.arena = b.keys[:keep], b.ends[:keep], b.arena[:end]
}

func (b *Batch) bareNumber(s *scanner) {
	text, ok := s.number()
	if !ok {
		s.fail("want a number, an object or an array")
		return
	}
	if s.err != nil {
		return
	}
	v, ok := parseFloat(text)
	if !ok {
		b.bad++
		b.refuse(0, "value", "not_finite", "is too large for a double")
		return
	}
	b.reading.Value, b.reading.TS, b.reading.Seq, b.reading.Quality = v, b.now, b.number(0), 0
	b.addReading(0, b.topic, &b.reading)
}

// byTopic gives the name of an item that the topic names too.
func (b *Batch) byTopic(name []byte, field string, seen *int, bit int, refuse refuseFunc) []byte {
	if *seen&bit != 0 && !bytes.Equal(name, b.topic) {
		refuse(field, "mismatch", "differs from the topic's")
	}
	*seen |= bit
	return b.topic
}

// arrival gives item i the time at which it came, if it has none, and what tells
// it apart from others that came in the same millisecond.
func (b *Batch) arrival(i int, ts, seq *int64, seen *int, bit int) {
	if *seen&bit != 0 {
		return
	}
	*seen |= bit
	*ts = b.now
	if *seq == plant.NoSeq {
		*seq = b.number(i)
	}
}

// number is that of the arrival of item i.
func (b *Batch) number(i int) int64 {
	if !b.kept.IsZero() {
		return intake.ArrivalIn(b.kept, i)
	}
	return b.arrivals.Next()
}
