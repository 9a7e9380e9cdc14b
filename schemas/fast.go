package schemas

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/foodflow/foodflow/internal/plant"
)

// cursor reads Avro primitives off a body. After the first fault it yields
// zeros; the caller looks at bad once.
type cursor struct {
	b    []byte
	base int // length of the whole body, where positions are asked for
	bad  bool
}

// pos is how far the body is read.
func (c *cursor) pos() int { return c.base - len(c.b) }

// take cuts off n bytes; nil when there are fewer.
func (c *cursor) take(n int) []byte {
	if n > len(c.b) {
		c.fail()
		return nil
	}
	out := c.b[:n]
	c.b = c.b[n:]
	return out
}

// length reads the length of what follows, which must be there whole.
func (c *cursor) length() int {
	n := c.long()
	if n < 0 || n > int64(len(c.b)) {
		c.fail()
		return 0
	}
	return int(n)
}

func (c *cursor) id() (id plant.ID) {
	if len(c.b) < 16 {
		c.fail()
		return id
	}
	copy(id[:], c.b)
	c.b = c.b[16:]
	return id
}

func (c *cursor) long() int64 {
	u, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.b = c.b[n:]
	return int64(u>>1) ^ -int64(u&1)
}

func (c *cursor) double() float64 {
	if len(c.b) < 8 {
		c.fail()
		return 0
	}
	v := math.Float64frombits(binary.LittleEndian.Uint64(c.b))
	c.b = c.b[8:]
	return v
}

// enum reads a symbol's index below n.
func (c *cursor) enum(n int) int {
	i := c.long()
	if i < 0 || i >= int64(n) {
		c.fail()
		return 0
	}
	return int(i)
}

// text reads a string of at most limit bytes.
func (c *cursor) text(limit int) string {
	n := c.long()
	if n < 0 || n > int64(limit) || n > int64(len(c.b)) {
		c.fail()
		return ""
	}
	s := string(c.b[:n])
	c.b = c.b[n:]
	return s
}

// seq reads the union of null and long that carries a sequence number.
func (c *cursor) seq() int64 {
	if c.enum(2) == 0 {
		return plant.NoSeq
	}
	return c.long()
}

func (c *cursor) fail() { c.b, c.bad = nil, true }

func appendLong(b []byte, v int64) []byte {
	return binary.AppendUvarint(b, uint64(v<<1)^uint64(v>>63))
}

func appendDouble(b []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
}

func appendText(b []byte, s string) []byte {
	return append(appendLong(b, int64(len(s))), s...)
}

func appendSeq(b []byte, seq int64) []byte {
	if seq < 0 {
		return append(b, 0)
	}
	return appendLong(append(b, 2), seq)
}

// AppendReading appends the frame of a reading.
func (c *Codec) AppendReading(dst []byte, r *plant.Reading) []byte {
	dst = append(dst, c.kinds[Reading].prefix[:]...)
	dst = append(dst, r.Tenant[:]...)
	dst = append(dst, r.Line[:]...)
	dst = append(dst, r.Sensor[:]...)
	dst = appendLong(dst, r.TS)
	dst = appendDouble(dst, r.Value)
	dst = appendLong(dst, int64(r.Quality))
	return appendSeq(dst, r.Seq)
}

// DecodeReading reads a frame into r. r.Value is finite.
func (c *Codec) DecodeReading(frame []byte, r *plant.Reading) error {
	id, body, err := split(frame)
	if err != nil {
		return err
	}
	if id != c.readingID {
		return c.decodeForeignReading(frame, r)
	}
	cur := cursor{b: body}
	r.Tenant, r.Line, r.Sensor = cur.id(), cur.id(), cur.id()
	r.TS, r.Value = cur.long(), cur.double()
	r.Quality = plant.Quality(cur.enum(3))
	r.Seq = cur.seq()
	if cur.bad || len(cur.b) > 0 {
		return ErrBody
	}
	return checkReading(r)
}

func checkReading(r *plant.Reading) error {
	if math.IsNaN(r.Value) || math.IsInf(r.Value, 0) {
		return fmt.Errorf("%w: value is not finite", ErrBody)
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

func (c *Codec) decodeForeignReading(frame []byte, r *plant.Reading) error {
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

// AppendLineEvent appends the frame of a line event.
func (c *Codec) AppendLineEvent(dst []byte, e *plant.LineEvent) []byte {
	dst = append(dst, c.kinds[LineEvent].prefix[:]...)
	dst = append(dst, e.Tenant[:]...)
	dst = append(dst, e.Line[:]...)
	dst = append(dst, e.ID[:]...)
	dst = appendLong(dst, e.TS)
	dst = appendLong(dst, int64(e.Type))
	dst = appendLong(dst, int64(e.State))
	dst = appendText(dst, e.Reason)
	dst = appendText(dst, e.Product)
	dst = appendDouble(dst, e.Good)
	dst = appendDouble(dst, e.Scrap)
	dst = appendDouble(dst, e.Rework)
	dst = appendText(dst, e.Unit)
	return appendSeq(dst, e.Seq)
}

// DecodeLineEvent reads a frame into e. Counts are finite and not negative.
func (c *Codec) DecodeLineEvent(frame []byte, e *plant.LineEvent) error {
	id, body, err := split(frame)
	if err != nil {
		return err
	}
	if id != c.kinds[LineEvent].id {
		return c.decodeForeignLineEvent(frame, e)
	}
	cur := cursor{b: body}
	e.Tenant, e.Line, e.ID = cur.id(), cur.id(), cur.id()
	e.TS = cur.long()
	e.Type = plant.EventType(cur.enum(len(plant.EventTypes())))
	e.State = plant.State(cur.enum(len(plant.States())))
	e.Reason, e.Product = cur.text(plant.MaxReason), cur.text(plant.MaxProduct)
	e.Good, e.Scrap, e.Rework = cur.double(), cur.double(), cur.double()
	e.Unit = cur.text(plant.MaxUnit)
	e.Seq = cur.seq()
	if cur.bad || len(cur.b) > 0 {
		return ErrBody
	}
	return checkLineEvent(e)
}

func checkLineEvent(e *plant.LineEvent) error {
	for _, v := range []float64{e.Good, e.Scrap, e.Rework} {
		if !(v >= 0) || math.IsInf(v, 0) { //nolint:staticcheck // NaN must fail too
			return fmt.Errorf("%w: a count is negative or not finite", ErrBody)
		}
	}
	if e.Seq < plant.NoSeq {
		return fmt.Errorf("%w: seq is negative", ErrBody)
	}
	return checkTS(e.TS)
}

func (c *Codec) decodeForeignLineEvent(frame []byte, e *plant.LineEvent) error {
	var w wireLineEvent
	if err := c.decode(frame, LineEvent, &w); err != nil {
		return err
	}
	typ, ok1 := plant.ParseEventType(w.Type)
	state, ok2 := plant.ParseState(w.State)
	if !ok1 || !ok2 || len(w.Reason) > plant.MaxReason || len(w.Product) > plant.MaxProduct || len(w.Unit) > plant.MaxUnit {
		return fmt.Errorf("%w: type, state or the length of a text", ErrBody)
	}
	*e = plant.LineEvent{
		Tenant: w.Tenant, Line: w.Line, ID: w.ID, TS: w.TS, Type: typ, State: state, Reason: w.Reason, Product: w.Product,
		Good: w.Good, Scrap: w.Scrap, Rework: w.Rework, Unit: w.Unit, Seq: fromSeq(w.Seq),
	}
	return checkLineEvent(e)
}
