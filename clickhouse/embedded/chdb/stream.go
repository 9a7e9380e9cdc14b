package chdb

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// wideReads is the size of read from which a stream's pipe is widened: most
// answers are small and never need it.
const wideReads = 64 << 10

// widePipe is the engine's own size of writes.
const widePipe = 1 << 20

// fSetPipeSize is Linux's F_SETPIPE_SZ.
const fSetPipeSize = 1031

// Stream runs a statement and has its output read while it is made. before and
// after are the text of the statement around the place of its INTO OUTFILE; after
// holds the FORMAT clause. The engine writes the format itself, frame and all,
// into a pipe, so memory is bounded whatever the format.
//
// read may return early, with an error or without: the rest is thrown away. Who
// wants the statement to end then has to cancel it.
func (c *Conn) Stream(before, after string, with map[string]string, read func(*Pipe) error) (Stats, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return Stats{}, fmt.Errorf("making the answer's pipe: %w", err)
	}
	done := make(chan error, 1)
	go func() {
		defer r.Close()
		err := read(&Pipe{r: r})
		// The engine must never write into a pipe that nobody reads.
		_, _ = io.Copy(io.Discard, r)
		done <- err
	}()
	text := fmt.Sprintf("%s\nINTO OUTFILE '/proc/self/fd/%d' APPEND\n%s", before, w.Fd(), after)
	st, err := c.Whole(text, "Null", with, func([]byte) error { return nil })
	w.Close()
	if rerr := <-done; err == nil {
		err = rerr
	}
	return st, err
}

// Pipe is the reading end of a statement's output.
type Pipe struct {
	r    *os.File
	wide bool
}

// Read implements io.Reader.
func (p *Pipe) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if n >= wideReads && !p.wide {
		p.wide = true
		if raw, err := p.r.SyscallConn(); err == nil { // a narrow pipe works too
			_ = raw.Control(func(fd uintptr) { _, _, _ = syscall.Syscall(syscall.SYS_FCNTL, fd, fSetPipeSize, widePipe) })
		}
	}
	return n, err
}
