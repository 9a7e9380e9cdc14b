package schemas

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/foodflow/foodflow/internal/plant"
)

// idsSize is the length of a record's three ids, ReadingSize the most bytes
// that the frame of a reading can have.
const (
	idsSize     = 3 * 16
	ReadingSize = frameSize + idsSize + binary.MaxVarintLen64 + 8 + 1 + 1 + binary.MaxVarintLen64
)

// AppendReading appends the frame of a reading. It does not look at the values:
// whoever makes a reading holds it to the rules first.
func (c *Codec) AppendReading(dst []byte, r *plant.Reading) []byte {
	start := len(dst)
	dst = slices.Grow(dst, ReadingSize)
	b := dst[start : start+ReadingSize] // one look at the bounds for all that follows
	copy(b, c.reading.prefix[:])
	copy(b[frameSize:], r.Tenant[:])
	copy(b[frameSize+16:], r.Line[:])
	copy(b[frameSize+32:], r.Sensor[:])
	n := frameSize + idsSize
	n += binary.PutUvarint(b[n:], zigzag(r.TS))
	binary.LittleEndian.PutUint64(b[n:], math.Float64bits(r.Value))
	n += 8
	b[n] = byte(r.Quality << 1)
	n++
	if r.Seq < 0 {
		b[n] = 0
		return dst[:start+n+1]
	}
	b[n] = 2
	n++
	n += binary.PutUvarint(b[n:], zigzag(r.Seq))
	return dst[:start+n]
}

// DecodeReading reads a frame into r; on an error r is in no certain state.
// r.Value is within plant.MaxValue, r.TS one that the store can hold.
func (c *Codec) DecodeReading(frame []byte, r *plant.Reading) error {
	id, body, err := split(frame)
	if err != nil {
		return err
	}
	if id != c.reading.id {
		return c.decodeForeignReading(id, frame, r)
	}
	if len(body) < idsSize {
		return ErrBody
	}
	copy(r.Tenant[:], body)
	copy(r.Line[:], body[16:])
	copy(r.Sensor[:], body[32:])
	cur := cursor{b: body[idsSize:]}
	r.TS, r.Value = cur.long(), cur.double()
	r.Quality = plant.Quality(cur.enum(int(plant.QualityBad) + 1))
	r.Seq = cur.seq()
	if cur.bad || len(cur.b) > 0 {
		return ErrBody
	}
	return checkReading(r)
}

func checkReading(r *plant.Reading) error {
	if !(math.Abs(r.Value) <= plant.MaxValue) { // nor is NaN
		return fmt.Errorf("%w: value is not within %g", ErrBody, plant.MaxValue)
	}
	if r.Seq < plant.NoSeq {
		return fmt.Errorf("%w: seq is negative", ErrBody)
	}
	return checkTS(r.TS)
}

// maxTS is the end of year 2299, the last that ClickHouse's DateTime64 holds.
const maxTS = 10_413_791_999_999

// checkTS holds a time to what the store can hold.
func checkTS(ts int64) error {
	if ts < 0 || ts > maxTS {
		return fmt.Errorf("%w: ts is outside 1970 to 2299", ErrBody)
	}
	return nil
}

func (c *Codec) decodeForeignReading(id int, frame []byte, r *plant.Reading) error {
	switch as, err := c.foreign.reader(Reading, id, c.reading.schema); {
	case err != nil:
		return err
	case as.flat != nil:
		return as.flat.decode(frame[frameSize:], r)
	}
	var w wireReading
	if err := c.decode(frame, Reading, &w); err != nil {
		return err
	}
	q, ok := plant.ParseQuality(w.Quality)
	if !ok {
		return fmt.Errorf("%w: quality %q", ErrBody, w.Quality)
	}
	*r = plant.Reading{Tenant: w.Tenant, Line: w.Line, Sensor: w.Sensor, TS: w.TS, Value: w.Value, Quality: q, Seq: fromSeq(w.Seq)}
	return checkReading(r)
}

func fromSeq(p *int64) int64 {
	if p == nil {
		return plant.NoSeq
	}
	return *p
}

func toSeq(seq int64) *int64 {
	if seq < 0 {
		return nil
	}
	return &seq
}
