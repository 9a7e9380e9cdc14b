package chdb

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"unsafe"
)

// Conn is one connection of the engine. It runs one statement at a time and
// belongs to one goroutine at a time.
type Conn struct {
	lib *Library
	ptr *uintptr
}

// Dial opens a connection to the data directory; all connections of a process
// share one engine, which the first one's args configure.
func (l *Library) Dial(path string, args []string) (*Conn, error) {
	argv := append([]string{"clickhouse", "--path=" + path}, args...)
	ptrs := make([]*byte, len(argv)+1)
	for i, a := range argv {
		ptrs[i] = bytesOf(a)
	}
	ptr := l.connect(int32(len(argv)), &ptrs[0])
	runtime.KeepAlive(ptrs)
	if ptr == nil || *ptr == 0 {
		return nil, errors.New("the ClickHouse engine refused the connection; its log says why")
	}
	return &Conn{lib: l, ptr: ptr}, nil
}

// Close ends the connection; it may be called twice.
func (c *Conn) Close() {
	if c.ptr != nil {
		c.lib.closeConn(c.ptr)
		c.ptr = nil
	}
}

// Exec runs a statement and returns its whole output.
func (c *Conn) Exec(query, format string, with map[string]string) (out []byte, st Stats, err error) {
	st, err = c.Whole(query, format, with, func(b []byte) error {
		out = bytes.Clone(b)
		return nil
	})
	return out, st, err
}

// Do runs a statement that has no output.
func (c *Conn) Do(query string) error {
	_, err := c.Whole(query, "Null", nil, func([]byte) error { return nil })
	return err
}

// Whole runs a statement and hands out its whole output, which stays the
// engine's and is gone when yield returns. Without output yield isn't called.
func (c *Conn) Whole(query, format string, with map[string]string, yield func([]byte) error) (Stats, error) {
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
	if err := yield(unsafe.Slice((*byte)(c.lib.buffer(r)), n)); err != nil {
		return st, fmt.Errorf("handing out the answer: %w", err)
	}
	return st, nil
}
