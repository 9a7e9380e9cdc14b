package embedded

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/foodflow/foodflow/clickhouse/embedded/chdb"
	"github.com/foodflow/foodflow/clickhouse/embedded/wire"
)

// answer is the output of one statement. Its first part is held back, so that an
// error still gets its status and the summary its header; the rest streams.
type answer struct {
	w      http.ResponseWriter
	req    *request
	accept string
	tag    string
	began  time.Time
	// abort ends the statement when its client or the spool can't take more.
	abort func(error)
	// ask tells how far the statement is.
	ask func() (progress, bool)

	mu      sync.Mutex // guards what follows, and writing to w
	live    *live      // w, once progress was reported
	held    spool
	out     io.WriteCloser // set once the header is sent
	rows    *wire.Document // out, where an exception is to be part of the format
	started bool
}

// holdBack is how much output waits for the statement's end, as with a server.
const holdBack = 1 << 20

// format is the output format in force.
func (a *answer) format() string { return a.req.format() }

// Write takes output of the engine.
func (a *answer) Write(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, err := a.write(b)
	if err != nil {
		a.abort(err)
	}
	return n, err
}

func (a *answer) write(b []byte) (int, error) {
	if !a.started {
		if a.req.wait || a.held.size+int64(len(b)) <= max(holdBack, a.req.bufferSize) {
			return a.held.Write(b)
		}
		if p, ok := a.ask(); ok { // so far
			a.w.Header().Set("X-ClickHouse-Summary", p.summary())
		}
		if err := a.start(); err != nil {
			return 0, err
		}
	}
	return a.out.Write(b)
}

// start sends the header and what was held back.
func (a *answer) start() error {
	h := a.w.Header()
	h.Set("Content-Type", wire.ContentType(a.format()))
	h.Set("X-ClickHouse-Format", a.format())
	out, err := wire.Encoder(a.w, h, a.req.compress, a.accept)
	if err != nil {
		return fmt.Errorf("encoding answer: %w", err)
	}
	a.out, a.started = out, true
	if a.req.inFormat {
		if a.rows = wire.NewDocument(out, a.format()); a.rows != nil {
			a.out = a.rows
		}
	}
	return a.held.drain(a.out)
}

// finish ends the answer. An error after the header was sent is marked in
// ClickHouse's way and the connection is cut, so that no client takes the answer
// for whole.
func (a *answer) finish(st chdb.Stats, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer a.held.close()
	switch {
	case err != nil && a.rows != nil:
		_ = a.rows.Break(asException(err).Text) // fails only when the client is gone
	case err != nil && a.started:
		_, _ = io.WriteString(a.out, wire.Broken(a.tag, asException(err).Text)) // fails only when the client is gone
		_ = a.out.Close()
		if a.live != nil {
			a.live.end(false)
			return
		}
		_ = http.NewResponseController(a.w).Flush() // what isn't flushed dies with the connection
		panic(http.ErrAbortHandler)
	case err != nil:
		e := asException(err)
		wire.Fail(a.w, e.Code, e.Text, a.format(), a.req.inFormat)
	default:
		a.whole(st)
	}
	if a.live != nil {
		a.live.end(true)
	}
}

// whole ends an answer that lacks nothing.
func (a *answer) whole(st chdb.Stats) {
	if !a.started {
		summary := progress{Stats: st, total: st.ReadRows, elapsed: time.Since(a.began)}.summary()
		a.w.Header().Set("X-ClickHouse-Summary", summary)
		if a.req.progress {
			a.w.Header().Set("X-ClickHouse-Progress", summary)
		}
		if err := a.start(); err != nil {
			return
		}
	}
	_ = a.out.Close() // fails only when the client is gone
}

// asException gives an error ClickHouse's form.
func asException(err error) *chdb.Exception {
	var e *chdb.Exception
	if errors.As(err, &e) {
		return e
	}
	return chdb.Raise(chdb.CodeUnknown, "UNKNOWN_EXCEPTION", "%v", err)
}
