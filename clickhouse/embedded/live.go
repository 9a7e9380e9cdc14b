package embedded

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// live is an answer whose header goes out line by line while the statement runs,
// which net/http doesn't do: the connection is taken from it, and ends with the
// answer. It belongs to one goroutine at a time.
type live struct {
	header http.Header
	conn   net.Conn
	out    *bufio.Writer
	body   bool // the header is whole
}

// takeOver begins a live answer. gone is called when the client leaves.
func takeOver(w http.ResponseWriter, gone func(error)) (*live, error) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fmt.Errorf("taking a connection over: %w", err)
	}
	_ = conn.SetDeadline(time.Time{}) // those of the server are for its own connections
	go func() {
		// The client has sent its request and nothing more comes until it leaves.
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			gone(context.Canceled)
		}
	}()
	l := &live{header: w.Header().Clone(), conn: conn, out: rw.Writer}
	_, err = l.out.WriteString("HTTP/1.1 200 OK\r\n")
	return l, err
}

// line sends a header that may come more than once.
func (l *live) line(name, value string) error {
	if _, err := fmt.Fprintf(l.out, "%s: %s\r\n", name, value); err != nil {
		return err
	}
	return l.out.Flush()
}

// Header implements http.ResponseWriter.
func (l *live) Header() http.Header { return l.header }

// WriteHeader ends the header. The status was sent before anything was known, so
// an exception has its code in the header and 200 all the same, as with a server.
func (l *live) WriteHeader(int) {
	if l.body {
		return
	}
	l.body = true
	l.header.Del("Content-Length")
	l.header.Set("Transfer-Encoding", "chunked")
	l.header.Set("Connection", "close")
	l.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	_ = l.header.Write(l.out) // a client that is gone is noticed by the next write
	_, _ = l.out.WriteString("\r\n")
}

// Write sends a chunk.
func (l *live) Write(b []byte) (int, error) {
	l.WriteHeader(http.StatusOK)
	if len(b) == 0 {
		return 0, nil
	}
	if _, err := fmt.Fprintf(l.out, "%x\r\n", len(b)); err != nil {
		return 0, err
	}
	n, err := l.out.Write(b)
	if err == nil {
		_, err = l.out.WriteString("\r\n")
	}
	return n, err
}

// Flush implements http.Flusher.
func (l *live) Flush() { _ = l.out.Flush() }

// end closes the connection; without the last chunk where the answer isn't whole.
func (l *live) end(whole bool) {
	if whole {
		l.WriteHeader(http.StatusOK)
		_, _ = l.out.WriteString("0\r\n\r\n") // fails only when the client is gone
	}
	_ = l.out.Flush()
	l.conn.Close()
}
