package ingest

import (
	"bytes"

	"github.com/foodflow/foodflow/internal/plant"
)

// Members of a reading, as bits of what was seen.
const (
	hasSensor = 1 << iota
	hasTS
	hasValue
	hasQuality
	hasSeq
)

// ReadReadings reads {"readings":[…]}. The error concerns the request as a
// whole; what is wrong with single items is in the batch.
func (b *Batch) ReadReadings(body []byte) error {
	return b.readList(body, "readings", b.readReading)
}

// ReadReadingLines reads one reading a line.
func (b *Batch) ReadReadingLines(body []byte) error { return b.readLines(body, b.readReading) }

// ReadReading reads one reading that is the whole body.
func (b *Batch) ReadReading(body []byte) error {
	s := &scanner{b: body}
	b.items = 1
	b.readReading(s, 0)
	s.end()
	return s.err
}

func (b *Batch) readReading(s *scanner, i int) {
	r := &b.reading
	*r = plant.Reading{Tenant: b.tenant, Seq: plant.NoSeq}
	var sensor []byte
	seen, wrong := 0, false
	refuse := func(field, rule, message string) {
		wrong = true
		b.refuse(i, field, rule, message)
	}
	s.object(func(name []byte) {
		bit := 0
		switch borrow(name) {
		case "sensor":
			bit = hasSensor
			sensor = b.textMember(s, "sensor", refuse)
		case "ts":
			bit = hasTS
			r.TS = b.timeMember(s, refuse)
		case "value":
			bit = hasValue
			r.Value = floatMember(s, "value", refuse)
		case "quality":
			bit = hasQuality
			r.Quality = qualityMember(s, refuse)
		case "seq":
			bit = hasSeq
			r.Seq = seqMember(s, refuse)
		default:
			refuse(string(bytes.ToValidUTF8(name[:min(len(name), 60)], nil)), "unknown_field", "is not a field of a reading")
			s.skip(1)
			return
		}
		if seen&bit != 0 {
			refuse(string(name), "duplicate_field", "stands twice")
		}
		seen |= bit
	})
	if s.err != nil {
		return
	}
	if b.topic != nil {
		sensor = b.byTopic(sensor, "sensor", &seen, hasSensor, refuse)
		b.arrival(i, &r.TS, &r.Seq, &seen, hasTS)
	}
	for _, m := range [...]struct {
		bit  int
		name string
	}{{hasSensor, "sensor"}, {hasTS, "ts"}, {hasValue, "value"}} {
		if seen&m.bit == 0 {
			refuse(m.name, "required", "is missing")
		}
	}
	if wrong {
		b.bad++
		return
	}
	b.addReading(i, sensor, r)
}

// addReading resolves the sensor, holds the reading to the rules that need the
// directory or the clock, and encodes it.
func (b *Batch) addReading(i int, sensor []byte, r *plant.Reading) {
	d, ok := b.dir.SensorBytes(b.tenant, sensor)
	if !ok {
		b.bad++
		b.refuse(i, "sensor", "unknown", "no sensor has this id or key")
		return
	}
	if x := b.limits.Bounds.Reading(r, b.now); x != nil {
		b.bad++
		b.refuse(i, x.Location, x.Rule, x.Message)
		return
	}
	r.Tenant, r.Sensor, r.Line = b.tenant, d.ID, d.Line
	b.arena = b.enc.AppendReading(b.arena, r)
	b.keep(r.Key())
}

// AddReading adds a reading that was decoded elsewhere (Avro, MQTT).
func (b *Batch) AddReading(sensor []byte, r plant.Reading) {
	i := b.items
	b.items++
	b.reading = r
	b.addReading(i, sensor, &b.reading)
}
