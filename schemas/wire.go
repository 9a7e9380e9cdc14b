package schemas

import "math"

// wireKind is a type of the Avro specification.
type wireKind uint8

// The kinds; kindNone is no value.
const (
	kindNone wireKind = iota
	kindNull
	kindBool
	kindInt
	kindLong
	kindFloat
	kindDouble
	kindBytes
	kindText
	kindFixed
	kindEnum
	kindArray
	kindMap
)

// String gives the specification's name.
func (k wireKind) String() string {
	return [...]string{"none", "null", "boolean", "int", "long", "float", "double", "bytes", "string", "fixed", "enum", "array", "map"}[k]
}

// primitive reads the name of a type without parts.
func primitive(name string) (wireKind, bool) {
	for k := kindNull; k <= kindText; k++ {
		if k.String() == name {
			return k, true
		}
	}
	return kindNone, false
}

// wire is a type as a writer wrote it.
type wire struct {
	kind    wireKind
	size    int      // of a fixed
	symbols []string // of an enum
	scale   int64    // of a timestamp: units a millisecond
	item    *wire    // of an array or map
}

// number says whether t widens to a double, integer whether to a long, word
// whether it spells a name.
func (t wire) number() bool  { return t.integer() || t.kind == kindFloat || t.kind == kindDouble }
func (t wire) integer() bool { return t.kind == kindInt || t.kind == kindLong }
func (t wire) word() bool    { return t.kind == kindText || t.kind == kindEnum }

// id says whether t can name a thing: a text, or the 16 bytes of a UUID.
func (t wire) id() bool { return t.kind == kindText || t.kind == kindFixed && t.size == 16 }

// datum is one value off the wire.
type datum struct {
	kind       wireKind
	long       int64
	double     float64
	text       string // of an enum here; of a text or fixed once cut out
	at, length int    // where a text or fixed stands in its block
}

// read reads the column's value.
func (c *column) read(cur *cursor, d *datum) {
	i := 0
	if c.union {
		i = cur.enum(len(c.types))
	}
	if !cur.bad {
		c.types[i].read(cur, d)
	}
}

// read reads a value of the type, or passes over it where nobody wants such.
func (t *wire) read(cur *cursor, d *datum) {
	switch t.kind {
	case kindNull:
		d.kind = kindNull
	case kindBool:
		if b := cur.take(1); b != nil && b[0] > 1 {
			cur.fail()
		}
	case kindInt, kindLong:
		d.kind, d.long = kindLong, cur.long()
		if t.kind == kindInt && int64(int32(d.long)) != d.long {
			cur.fail()
		}
		d.double = float64(d.long)
		d.long = floorDiv(d.long, t.scale)
	case kindFloat:
		d.kind, d.double = kindDouble, float64(cur.float())
	case kindDouble:
		d.kind, d.double = kindDouble, cur.double()
	case kindBytes, kindText:
		n := cur.length()
		d.kind, d.at, d.length = t.kind, cur.pos(), n
		cur.take(n)
	case kindFixed:
		d.kind, d.at, d.length = kindFixed, cur.pos(), t.size
		cur.take(t.size)
	case kindEnum:
		d.kind, d.text = kindEnum, t.symbols[cur.enum(len(t.symbols))]
	case kindNone: // no type compiles to it
	case kindArray, kindMap:
		t.skipItems(cur)
	}
}

// skipItems passes over the blocks of an array or map. Every item takes a byte
// at least (compile sees to that), so the loop is bounded by the input.
func (t *wire) skipItems(cur *cursor) {
	for !cur.bad {
		n := cur.long()
		if n == 0 {
			return
		}
		behind := -1
		if n < 0 { // a block that says its size, which is held to what is in it
			size := cur.length()
			n, behind = -n, len(cur.b)-size
		}
		for ; n > 0 && !cur.bad; n-- {
			if t.kind == kindMap {
				cur.take(cur.length())
			}
			t.item.read(cur, &datum{})
		}
		if n < 0 || behind >= 0 && len(cur.b) != behind {
			cur.fail()
		}
	}
}

// floorDiv divides towards the past, so that a time before 1970 is not moved
// into the next millisecond.
func floorDiv(v, by int64) int64 {
	if by <= 1 {
		return v
	}
	q := v / by
	if v%by < 0 {
		q--
	}
	return q
}

// float reads a 4-byte float.
func (c *cursor) float() float32 {
	b := c.take(4)
	if b == nil {
		return 0
	}
	return math.Float32frombits(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24)
}
