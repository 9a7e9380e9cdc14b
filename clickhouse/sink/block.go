package sink

import (
	"encoding/binary"
	"math"

	"github.com/foodflow/foodflow/internal/plant"
)

// Block is a batch of rows of one table.
type Block interface {
	// Table is the table's name.
	Table() string
	// Rows is the number of rows; Bytes the memory they take.
	Rows() int
	Bytes() int
	columns() []*column
}

// column is one column of a block in ClickHouse's Native representation.
type column struct {
	name string
	typ  string
	data []byte
	// more is the second part of a tuple, which follows the first as a column of
	// its own.
	more []byte
}

// point appends a tuple of a time and a value.
func (c *column) point(ts int64, v float64) {
	c.int64(ts)
	c.more = binary.LittleEndian.AppendUint64(c.more, math.Float64bits(v))
}

func (c *column) uuid(id *plant.ID) {
	// ClickHouse keeps a UUID as two little-endian halves.
	c.data = binary.LittleEndian.AppendUint64(c.data, binary.BigEndian.Uint64(id[:8]))
	c.data = binary.LittleEndian.AppendUint64(c.data, binary.BigEndian.Uint64(id[8:]))
}

func (c *column) int64(v int64)   { c.data = binary.LittleEndian.AppendUint64(c.data, uint64(v)) }
func (c *column) int32(v int32)   { c.data = binary.LittleEndian.AppendUint32(c.data, uint32(v)) }
func (c *column) uint32(v uint32) { c.data = binary.LittleEndian.AppendUint32(c.data, v) }
func (c *column) int8(v int8)     { c.data = append(c.data, byte(v)) }
func (c *column) float64(v float64) {
	c.data = binary.LittleEndian.AppendUint64(c.data, math.Float64bits(v))
}

func (c *column) float32(v float32) {
	c.data = binary.LittleEndian.AppendUint32(c.data, math.Float32bits(v))
}

func (c *column) text(s string) { c.data = append(binary.AppendUvarint(c.data, uint64(len(s))), s...) }

// frame is what the blocks of all tables share.
type frame struct {
	table string
	cols  []*column
	rows  int
}

// add makes a column; the order of calls is the order in the statement.
func (f *frame) add(name, typ string) *column {
	c := &column{name: name, typ: typ}
	f.cols = append(f.cols, c)
	return c
}

// Table is the table's name.
func (f *frame) Table() string { return f.table }

// Rows is the number of rows.
func (f *frame) Rows() int { return f.rows }

// Bytes is the memory the rows take.
func (f *frame) Bytes() int {
	n := 0
	for _, c := range f.cols {
		n += len(c.data) + len(c.more)
	}
	return n
}

// Reset drops all rows and keeps the memory.
func (f *frame) Reset() {
	f.rows = 0
	for _, c := range f.cols {
		c.data, c.more = c.data[:0], c.more[:0]
	}
}

func (f *frame) columns() []*column { return f.cols }

// head appends a column's or the block's framing in Native format.
func appendBlockHead(dst []byte, cols, rows int) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, uint64(cols)), uint64(rows))
}

func appendColumnHead(dst []byte, c *column) []byte {
	dst = append(binary.AppendUvarint(dst, uint64(len(c.name))), c.name...)
	return append(binary.AppendUvarint(dst, uint64(len(c.typ))), c.typ...)
}
