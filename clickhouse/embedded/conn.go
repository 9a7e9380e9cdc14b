package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"unsafe"
)

// conn is one connection of the engine. It runs one statement at a time and
// belongs to whoever took it from the pool.
type conn struct {
	lib *library
	ptr *uintptr

	tag      string // names the connection in system.processes, see killer
	database string // in force between requests; "" before the first
}

// dial opens a connection to the data directory; all connections of a process
// share one engine.
func dial(lib *library, path string, args []string) (*conn, error) {
	argv := append([]string{"clickhouse", "--path=" + path}, args...)
	ptrs := make([]*byte, len(argv)+1)
	for i, a := range argv {
		ptrs[i] = bytesOf(a)
	}
	ptr := lib.connect(int32(len(argv)), &ptrs[0])
	runtime.KeepAlive(ptrs)
	if ptr == nil || *ptr == 0 {
		return nil, errors.New("the ClickHouse engine refused the connection; its log says why")
	}
	return &conn{lib: lib, ptr: ptr}, nil
}

func (c *conn) close() {
	if c.ptr != nil {
		c.lib.closeConn(c.ptr)
		c.ptr = nil
	}
}

// exec runs a statement and returns its whole output.
func (c *conn) exec(query, format string, with map[string]string) (out []byte, st Stats, err error) {
	st, err = c.whole(query, format, with, func(b []byte) error {
		out = bytes.Clone(b)
		return nil
	})
	return out, st, err
}

// whole runs a statement and hands out its whole output, which stays the
// engine's and is gone when yield returns. Without output yield isn't called.
func (c *conn) whole(query, format string, with map[string]string, yield func([]byte) error) (Stats, error) {
	p := newParams(with)
	r := c.lib.query(*c.ptr, bytesOf(query), uintptr(len(query)), bytesOf(format), uintptr(len(format)),
		first(p.names), first(p.nlens), first(p.values), first(p.vlens), uintptr(len(p.names)))
	runtime.KeepAlive(p)
	defer c.lib.destroy(r)
	if err := exception(c.lib.errorText(r)); err != nil {
		return Stats{}, err
	}
	st := c.lib.stats(r)
	n := c.lib.length(r)
	if n == 0 {
		return st, nil
	}
	return st, yield(unsafe.Slice((*byte)(c.lib.buffer(r)), n))
}

// stream runs a statement and hands out its output piece by piece. An error of
// yield cancels the statement.
func (c *conn) stream(query, format string, with map[string]string, yield func([]byte) error) (Stats, error) {
	p := newParams(with)
	s := c.lib.streamQuery(*c.ptr, bytesOf(query), uintptr(len(query)), bytesOf(format), uintptr(len(format)),
		first(p.names), first(p.nlens), first(p.values), first(p.vlens), uintptr(len(p.names)))
	runtime.KeepAlive(p)
	defer c.lib.destroy(s)
	if err := exception(c.lib.errorText(s)); err != nil {
		return Stats{}, err
	}
	var total Stats
	for {
		done, err := c.fetch(s, &total, yield)
		if err != nil {
			c.lib.streamCancel(*c.ptr, s)
			return total, err
		}
		if done {
			return total, nil
		}
	}
}

func (c *conn) fetch(s uintptr, total *Stats, yield func([]byte) error) (done bool, err error) {
	r := c.lib.streamFetch(*c.ptr, s)
	defer c.lib.destroy(r)
	if err := exception(c.lib.errorText(r)); err != nil {
		return false, err
	}
	st := c.lib.stats(r)
	total.ResultRows += st.ResultRows
	total.ResultBytes += st.ResultBytes
	total.ReadRows, total.ReadBytes = max(total.ReadRows, st.ReadRows), max(total.ReadBytes, st.ReadBytes)
	n := c.lib.length(r)
	if n == 0 {
		return true, nil
	}
	return false, yield(unsafe.Slice((*byte)(c.lib.buffer(r)), n))
}

// insertChunk is how much of a body is handed to the engine at once.
const insertChunk = 1 << 20

// refused ends an insert whose data the engine no longer takes and says why. It
// must be ended like any other: destroyed or cancelled while it is open, the
// engine aborts the process.
func (c *conn) refused(stream uintptr) error {
	early := exception(c.lib.insertError(stream))
	r := c.lib.insertDone(stream)
	defer c.lib.destroy(r)
	if err := exception(c.lib.errorText(r)); err != nil {
		return err
	}
	if early != nil {
		return early
	}
	return &Exception{Code: 117, Text: "Code: 117. DB::Exception: Data follows the end of the insert. (INCORRECT_DATA)"}
}

// insert runs an INSERT whose data is read from body.
func (c *conn) insert(query, format string, with map[string]string, body io.Reader) (Stats, error) {
	p := newParams(with)
	s := c.lib.insert(*c.ptr, bytesOf(query), uintptr(len(query)), bytesOf(format), uintptr(len(format)),
		first(p.names), first(p.nlens), first(p.values), first(p.vlens), uintptr(len(p.names)))
	runtime.KeepAlive(p)
	defer c.lib.insertDestroy(s)
	if err := exception(c.lib.insertError(s)); err != nil {
		return Stats{}, err
	}
	buf := make([]byte, insertChunk)
	for {
		n, err := io.ReadFull(body, buf)
		if n > 0 && c.lib.insertAppend(s, &buf[0], uintptr(n)) != 0 {
			return Stats{}, c.refused(s)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			c.lib.insertCancel(s)
			return Stats{}, fmt.Errorf("reading insert data: %w", err)
		}
	}
	r := c.lib.insertDone(s)
	defer c.lib.destroy(r)
	if err := exception(c.lib.errorText(r)); err != nil {
		return Stats{}, err
	}
	return c.lib.stats(r), nil
}
