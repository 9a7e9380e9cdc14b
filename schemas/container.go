package schemas

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/foodflow/foodflow/internal/plant"
)

// The ways in which an Avro object container file can't be taken.
var (
	// ErrContainer: not a container file, or cut off, or damaged.
	ErrContainer = errors.New("not a whole Avro container file")
	// ErrContainerSchema: the file's own schema does not fit what is read.
	ErrContainerSchema = errors.New("the schema of the container file does not fit")
	// ErrTooLarge: a limit of ContainerLimits is passed.
	ErrTooLarge = errors.New("the container file passes a limit")
)

// ContainerLimits bound what a container file may make its reader do. Memory is
// at most about HeaderBytes + 3 BlockBytes, and grows with what has arrived,
// not with what a length promises.
type ContainerLimits struct {
	HeaderBytes  int   // metadata with the schema
	BlockBytes   int   // one block, as sent and as inflated
	DecodedBytes int64 // all blocks, inflated
}

// DefaultContainerLimits suit an HTTP request.
func DefaultContainerLimits() ContainerLimits {
	return ContainerLimits{HeaderBytes: 64 << 10, BlockBytes: 4 << 20, DecodedBytes: 64 << 20}
}

// Container reads the records of an Avro object container file one by one. It
// is not safe for concurrent use.
type Container[T any] struct {
	r       *bufio.Reader
	lim     ContainerLimits
	sync    [16]byte
	inflate inflater
	set     func(*T, int, *datum)
	layout  []column

	raw     bytes.Buffer // the block as sent
	block   []byte       // inflated
	text    string       // block again: the records' texts are cut from it
	cur     cursor
	datum   datum // reused: through set it would escape to the heap each time
	left    int64 // records of the block not yet read
	decoded int64
	read    int64
	err     error // what ended the file; it is given again
}

// openContainer reads the header. set puts a datum into the field of that
// number in fields.
func openContainer[T any](r io.Reader, lim ContainerLimits, fields []field, set func(*T, int, *datum)) (*Container[T], error) {
	c := &Container[T]{r: bufio.NewReader(r), lim: lim, set: set}
	meta, err := c.header()
	if err != nil {
		return nil, err
	}
	if c.layout, err = compile(meta["avro.schema"], fields); err != nil {
		return nil, err
	}
	if c.inflate, err = newInflater(string(meta["avro.codec"]), lim.BlockBytes); err != nil {
		return nil, err
	}
	return c, nil
}

// Close lets go of the decompressor. It does not close the underlying reader.
func (c *Container[T]) Close() {
	c.inflate.close()
	if c.err == nil {
		c.err = fmt.Errorf("%w: read after close", ErrContainer)
	}
}

// Read counts the records read so far; after an error it is the index of the
// record that caused it.
func (c *Container[T]) Read() int64 { return c.read }

// Next reads a record into v, all fields of it. Texts in v share the memory of
// their block. io.EOF: the file is over, whole.
func (c *Container[T]) Next(v *T) error {
	for c.err == nil && c.left == 0 {
		c.err = c.nextBlock()
	}
	if c.err != nil {
		return c.err
	}
	var zero T
	*v = zero
	for i := range c.layout {
		d := &c.datum
		*d = datum{}
		c.layout[i].read(&c.cur, d)
		if c.cur.bad {
			c.err = fmt.Errorf("%w: field %s", ErrBody, c.layout[i].name)
			return c.err
		}
		if target := c.layout[i].target; target >= 0 {
			if !c.cut(d) {
				c.err = fmt.Errorf("%w: field %s is not UTF-8", ErrBody, c.layout[i].name)
				return c.err
			}
			c.set(v, target, d)
		}
	}
	c.left--
	if c.left == 0 && len(c.cur.b) > 0 {
		c.err = fmt.Errorf("%w: %d bytes left over in a block", ErrBody, len(c.cur.b))
		return c.err
	}
	c.read++
	return nil
}

// cut gives a datum its text; false when that is not UTF-8.
func (c *Container[T]) cut(d *datum) bool {
	switch d.kind {
	case kindText:
		d.text = c.text[d.at : d.at+d.length]
		return utf8.ValidString(d.text)
	case kindFixed: // compile lets a wanted one be a UUID only
		d.text = plant.ID(c.block[d.at : d.at+16]).String()
	default: // numbers have no text
	}
	return true
}

// nextBlock makes the next block current. io.EOF: there is none.
func (c *Container[T]) nextBlock() error {
	count, err := binary.ReadVarint(c.r)
	if errors.Is(err, io.EOF) {
		return io.EOF // nothing of a block was there: binary says so by a bare EOF
	}
	if err != nil {
		return fmt.Errorf("%w: count of a block: %w", ErrContainer, err)
	}
	size, err := binary.ReadVarint(c.r)
	if err != nil {
		return fmt.Errorf("%w: size of a block: %w", ErrContainer, notEOF(err))
	}
	if count < 0 || size < 0 {
		return fmt.Errorf("%w: a block of %d records in %d bytes", ErrContainer, count, size)
	}
	if size > int64(c.lim.BlockBytes) {
		return fmt.Errorf("%w: a block of %d bytes, at most %d", ErrTooLarge, size, c.lim.BlockBytes)
	}
	c.raw.Reset()
	if _, err := io.CopyN(&c.raw, c.r, size); err != nil {
		return fmt.Errorf("%w: block: %w", ErrContainer, notEOF(err))
	}
	var mark [16]byte
	if _, err := io.ReadFull(c.r, mark[:]); err != nil {
		return fmt.Errorf("%w: sync marker: %w", ErrContainer, notEOF(err))
	}
	if mark != c.sync {
		return fmt.Errorf("%w: wrong sync marker", ErrContainer)
	}
	if c.block, err = c.inflate.inflate(c.block[:0], c.raw.Bytes()); err != nil {
		return err
	}
	c.decoded += int64(len(c.block))
	if c.decoded > c.lim.DecodedBytes {
		return fmt.Errorf("%w: more than %d bytes inflated", ErrTooLarge, c.lim.DecodedBytes)
	}
	// A record has at least a byte for each field that must be there, so a count
	// past the block's length is a lie, and the loop over it is bounded.
	if count > int64(len(c.block)) || count == 0 && len(c.block) > 0 {
		return fmt.Errorf("%w: a block of %d records in %d bytes", ErrContainer, count, len(c.block))
	}
	c.text, c.left, c.cur = string(c.block), count, cursor{b: c.block, base: len(c.block)}
	return nil
}

// header reads magic, metadata and sync marker.
func (c *Container[T]) header() (map[string][]byte, error) {
	limited := &io.LimitedReader{R: c.r, N: int64(c.lim.HeaderBytes)}
	h := headerReader{limited}
	var magic [4]byte
	if _, err := io.ReadFull(h, magic[:]); err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrContainer, notEOF(err))
	}
	if magic != [4]byte{'O', 'b', 'j', 1} {
		return nil, fmt.Errorf("%w: it does not begin with Obj and 1", ErrContainer)
	}
	meta, err := h.metadata()
	if err == nil {
		_, err = io.ReadFull(h, c.sync[:])
	}
	switch {
	case err != nil && limited.N <= 0:
		return nil, fmt.Errorf("%w: the header has more than %d bytes", ErrTooLarge, c.lim.HeaderBytes)
	case err != nil:
		return nil, fmt.Errorf("%w: header: %w", ErrContainer, notEOF(err))
	}
	return meta, nil
}

// headerReader reads the metadata map, bounded by what its reader gives.
type headerReader struct{ r *io.LimitedReader }

func (h headerReader) Read(p []byte) (int, error) { return h.r.Read(p) }

// ReadByte lets binary.ReadVarint read no further than it must.
func (h headerReader) ReadByte() (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(h.r, b[:])
	return b[0], err
}

func (h headerReader) metadata() (map[string][]byte, error) {
	meta := map[string][]byte{}
	for {
		n, err := binary.ReadVarint(h)
		if err != nil || n == 0 {
			return meta, err
		}
		if n < 0 { // a block with its size before it
			n = -n
			if _, err := binary.ReadVarint(h); err != nil {
				return nil, err
			}
		}
		for ; n != 0; n-- { // each round reads a byte at least, or fails
			key, err := h.bytes()
			if err != nil {
				return nil, err
			}
			if meta[string(key)], err = h.bytes(); err != nil {
				return nil, err
			}
		}
	}
}

func (h headerReader) bytes() ([]byte, error) {
	n, err := binary.ReadVarint(h)
	if err != nil {
		return nil, err
	}
	if n < 0 {
		return nil, errors.New("negative length")
	}
	if n > h.r.N {
		h.r.N = 0 // the limit is what it passes
		return nil, io.ErrUnexpectedEOF
	}
	b := make([]byte, n)
	_, err = io.ReadFull(h, b)
	return b, err
}

// notEOF keeps a cut file from looking like one that ended well.
func notEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
