package schemas

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

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
	if len(c.b) > 0 && c.b[0] < 0x80 { // most enums, branches and lengths
		u := c.b[0]
		c.b = c.b[1:]
		return int64(u>>1) ^ -int64(u&1)
	}
	u, n := binary.Uvarint(c.b)
	if n <= 0 { // cut off, or past 64 bits
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

// text reads UTF-8 of at most limit bytes into s. Where s says that already it
// stays: the texts of a line's events repeat, and a caller that reuses its
// record then pays no allocation.
func (c *cursor) text(s *string, limit int) {
	n := c.length()
	if n > limit {
		c.fail()
		return
	}
	b := c.take(n)
	if *s == string(b) {
		return
	}
	if !utf8.Valid(b) {
		c.fail()
		return
	}
	*s = string(b)
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
	return binary.AppendUvarint(b, zigzag(v))
}

// zigzag puts small numbers of either sign first.
func zigzag(v int64) uint64 { return uint64(v<<1) ^ uint64(v>>63) }

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
