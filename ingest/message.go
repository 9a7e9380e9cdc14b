package ingest

import "bytes"

// ReadMessage reads what came for one sensor or line by a way that names it,
// such as an MQTT topic: an object, an array of objects, or for a sensor a bare
// number that was measured now. The objects may leave the name and the time
// out; a name that differs from the topic's is refused.
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
	b.reading.Value, b.reading.TS, b.reading.Seq, b.reading.Quality = v, b.now, -1, 0
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

// arrival gives the time of an item that may leave it out.
func (b *Batch) arrival(ts int64, seen *int, bit int) int64 {
	if *seen&bit != 0 {
		return ts
	}
	*seen |= bit
	return b.now
}
