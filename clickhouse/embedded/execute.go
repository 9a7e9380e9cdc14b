package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/foodflow/foodflow/clickhouse/embedded/chdb"
	"github.com/foodflow/foodflow/clickhouse/embedded/wire"
)

// run borrows a connection and runs the statement on it.
func (h *handler) run(w http.ResponseWriter, r *http.Request, who *account, req *request, tag string) {
	ctx, abort := context.WithCancelCause(r.Context())
	defer abort(nil)
	fail := func(err error) {
		e := asException(err)
		wire.Fail(w, e.Code, e.Text, req.format(), req.inFormat)
	}
	c, done, err := h.borrow(ctx, who, req)
	if err != nil {
		fail(err)
		return
	}
	leave := func() {}
	if err = who.allows(c, req); err == nil {
		err = h.prepare(c, req)
	}
	if err == nil {
		leave, err = h.running.enter(ctx, req.queryID, underway{tag: c.tag, abort: abort}, on(req.settings["replace_running_query"]))
	}
	if err != nil {
		done(false)
		fail(err)
		return
	}
	a := &answer{w: w, req: req, tag: tag, began: time.Now(), abort: abort, ask: func() (progress, bool) { return h.killer.progress(c.tag) }}
	if req.httpCompress {
		a.accept = r.Header.Get("Accept-Encoding")
	}
	unfollow := func() {}
	if req.progress && r.ProtoAtLeast(1, 1) && r.Method != http.MethodHead && req.stmt.Kind != wire.Insert {
		// The body of an insert is read from the connection that reports take over.
		h.long.Add(1)
		defer h.long.Done()
		unfollow = a.follow(ctx, req.progressEvery)
	}
	defer func() {
		leave()
		done(!req.stmt.LeavesTraces() && !sticky(req.settings) && req.role == "" && req.external == nil)
	}()
	unwatch := func() {}
	if req.stmt.Kind == wire.Rows || req.stmt.Kind == wire.Show {
		// Only what reads ends with its client, as with ClickHouse: what changes
		// data must not be cut between two of its blocks.
		unwatch = h.killer.watch(ctx, c)
	}
	st, err := h.execute(c, req, a)
	unwatch()
	unfollow()
	if e := (*chdb.Exception)(nil); errors.As(err, &e) && e.Code == codeCancelled && context.Cause(ctx) != nil {
		err = context.Cause(ctx) // why it was cancelled says more
	}
	if err != nil {
		h.killer.settle(c)
	}
	a.finish(st, err)
}

// borrow takes a connection from the account's pool or from the request's
// session.
func (h *handler) borrow(ctx context.Context, who *account, req *request) (*conn, func(clean bool), error) {
	if req.session != "" {
		// What a session's USE chose stays, so its database is only set when a
		// request names one.
		c, err := who.pool.enter(ctx, req.session, req.sessionCheck)
		if err != nil {
			return nil, nil, err
		}
		return c, func(bool) {
			c.database = "" // its statements may have chosen another
			who.pool.leave(req.session, req.sessionTimeout, req.sessionClose)
		}, nil
	}
	if req.database == "" {
		req.database = "default"
	}
	c, err := who.pool.take(ctx, req.database, req.settings)
	if err != nil {
		return nil, nil, err
	}
	return c, func(clean bool) { who.pool.put(c, clean) }, nil
}

// prepare makes connection and request ready for each other.
func (h *handler) prepare(c *conn, req *request) (err error) {
	if req.stmt, err = h.running.translate(c, req.stmt); err != nil {
		return err
	}
	if err = c.apply(req.database, req.settings); err != nil {
		return err
	}
	if req.role != "" {
		if err := c.Do("SET ROLE " + quoteName(req.role)); err != nil {
			return err
		}
	}
	for _, e := range req.external {
		if err := c.Do(fmt.Sprintf("CREATE TEMPORARY TABLE %s (%s) ENGINE = Memory", quoteName(e.name), e.structure)); err != nil {
			return err
		}
		if _, err := c.Insert("INSERT INTO "+quoteName(e.name), e.format, nil, bytes.NewReader(e.data), &h.buffers); err != nil {
			return err
		}
	}
	return nil
}

// execute runs the statement and writes its output to a.
func (h *handler) execute(c *conn, req *request, a *answer) (chdb.Stats, error) {
	switch req.stmt.Kind {
	case wire.Insert:
		return c.Insert(req.stmt.Text, req.stmt.Format, req.params, io.MultiReader(strings.NewReader(req.stmt.Data), req.body), &h.buffers)
	case wire.Action, wire.Show:
		return c.Whole(req.stmt.Text, a.format(), req.params, func(b []byte) error {
			if a.format() == "Native" && req.revision > 0 {
				return wire.Transcode(a, bytes.NewReader(b), req.revision)
			}
			_, err := a.Write(b)
			return err
		})
	case wire.Rows:
	}
	before, after := req.stmt.Around(a.format())
	return c.Stream(before, after, req.params, func(p *chdb.Pipe) error {
		if a.format() == "Native" && req.revision > 0 {
			return wire.Transcode(a, p, req.revision)
		}
		return copyTo(a, p)
	})
}

// copyTo passes on what the engine writes.
func copyTo(a *answer, p *chdb.Pipe) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := p.Read(buf)
		if n > 0 {
			if _, werr := a.Write(buf[:n]); werr != nil {
				return werr
			}
			if n == len(buf) && len(buf) < 1<<20 {
				buf = make([]byte, 1<<20) // a large answer
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the engine's answer: %w", err)
		}
	}
}
