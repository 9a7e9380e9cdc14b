package chdb

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
)

// insertChunk is how much of a body is handed to the engine at once.
const insertChunk = 1 << 20

// Buffers lends the buffers that bodies are read into; inserts come many times a
// second, and a megabyte each time is the collector's work.
type Buffers struct{ pool sync.Pool }

func (b *Buffers) get() *[insertChunk]byte {
	if p, ok := b.pool.Get().(*[insertChunk]byte); ok {
		return p
	}
	return new([insertChunk]byte)
}

// Insert runs an INSERT whose data is read from body. A body that ends in an
// error leaves nothing of the block it was in; whole blocks before it
// (max_insert_block_size rows each) stay, as with a server.
func (c *Conn) Insert(query, format string, with map[string]string, body io.Reader, buffers *Buffers) (Stats, error) {
	p := newParams(with)
	s := c.lib.insert(*c.ptr, bytesOf(query), uintptr(len(query)), bytesOf(format), uintptr(len(format)),
		first(p.names), first(p.nlens), first(p.values), first(p.vlens), uintptr(len(p.names)))
	runtime.KeepAlive(p)
	defer c.lib.insertDestroy(s)
	if err := exception(c.lib.insertError(s)); err != nil {
		return Stats{}, err
	}
	buf := buffers.get()
	defer buffers.pool.Put(buf)
	for end := false; !end; {
		n, err := fill(body, buf[:])
		if err != nil && !errors.Is(err, io.EOF) {
			c.lib.insertCancel(s)
			return Stats{}, fmt.Errorf("reading insert data: %w", err)
		}
		if n > 0 && c.lib.insertAppend(s, &buf[0], uintptr(n)) != 0 {
			return Stats{}, c.refused(s)
		}
		end = err != nil
	}
	r := c.lib.insertDone(s)
	defer c.lib.destroy(r)
	if err := exception(c.lib.errorText(r)); err != nil {
		return Stats{}, err
	}
	return c.lib.stats(r), nil
}

// fill reads until b is full. It gives the body's own error: io.ReadFull says
// io.ErrUnexpectedEOF both for a body that ended and for one that was cut off,
// and only the first is an insert.
func fill(body io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var k int
		k, err = body.Read(b[n:])
		n += k
	}
	return n, err
}

// refused ends an insert whose data the engine no longer takes and says why. It
// must be ended like any other: destroyed or cancelled while it is open, the
// engine aborts the process.
func (c *Conn) refused(stream uintptr) error {
	early := exception(c.lib.insertError(stream))
	r := c.lib.insertDone(stream)
	defer c.lib.destroy(r)
	if err := exception(c.lib.errorText(r)); err != nil {
		return err
	}
	if early != nil {
		return early
	}
	return Raise(codeIncorrect, "INCORRECT_DATA", "Data follows the end of the insert")
}
