package embedded

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// handler answers ClickHouse's HTTP interface.
type handler struct {
	pool     *pool
	killer   *killer
	running  running
	user     string
	password string
	timezone string
	logger   *slog.Logger
}

// ServeHTTP answers one request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, _ := os.Hostname()
	w.Header().Set("X-ClickHouse-Server-Display-Name", host)
	switch r.URL.Path {
	case "/ping", "/replicas_status":
		fmt.Fprintln(w, "Ok.")
		return
	case "/":
	default:
		http.Error(w, "There is no handle "+r.URL.Path, http.StatusNotFound)
		return
	}
	if r.Method == http.MethodGet && !r.URL.Query().Has("query") {
		fmt.Fprintln(w, "Ok.")
		return
	}
	if !h.allowed(r) {
		h.fail(w, &Exception{Code: codeAuthentication, Text: fmt.Sprintf("Code: %d. DB::Exception: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)", codeAuthentication)})
		return
	}
	req, err := readRequest(r)
	if err != nil {
		h.fail(w, err)
		return
	}
	if req.queryID == "" {
		req.queryID = uuid.NewString()
	}
	w.Header().Set("X-ClickHouse-Query-Id", req.queryID)
	w.Header().Set("X-ClickHouse-Timezone", h.timezone)
	h.run(w, r, req)
}

// allowed checks user and password, from wherever ClickHouse takes them.
func (h *handler) allowed(r *http.Request) bool {
	user, password, ok := r.BasicAuth()
	if !ok {
		user, password = r.Header.Get("X-ClickHouse-User"), r.Header.Get("X-ClickHouse-Key")
		q := r.URL.Query()
		if user == "" {
			user = q.Get("user")
		}
		if password == "" {
			password = q.Get("password")
		}
	}
	if user == "" {
		user = "default"
	}
	if h.password == "" {
		// A user without a password takes any, as ClickHouse's no_password does:
		// the JDBC driver sends "null" where none is set.
		return user == h.user
	}
	same := func(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
	return same(user, h.user) && same(password, h.password)
}

// run borrows a connection, runs the statement on it and takes back what the
// request set.
func (h *handler) run(w http.ResponseWriter, r *http.Request, req *request) {
	c, done, err := h.borrow(r.Context(), req)
	if err != nil {
		h.fail(w, err)
		return
	}
	undo, err := h.prepare(c, req)
	if err != nil {
		done(false)
		h.fail(w, err)
		return
	}
	a := &answer{w: w, h: h, req: req, accept: r.Header.Get("Accept-Encoding"), began: time.Now()}
	defer func() {
		h.running.leave(req.queryID)
		// Nobody waits for a connection whose client is gone, so it isn't cleaned.
		clean := !changesSession(req.stmt) && !strings.Contains(undo, tagSetting) && r.Context().Err() == nil
		if undo != "" && clean {
			_, _, err := c.exec(undo, "Null", nil)
			clean = err == nil
		}
		done(clean)
	}()
	unwatch := func() {}
	if req.stmt.kind == kindRows || req.stmt.kind == kindShow {
		// Only what reads ends with its client, as with ClickHouse: what changes
		// data must not be cut between two of its blocks.
		unwatch = h.killer.watch(r.Context(), c)
	}
	kills := h.killer.over.Load()
	st, err := h.execute(c, req, a)
	unwatch()
	if err == nil && h.killer.begun.Load() != kills && h.killer.cancelled(c) {
		err = &Exception{Code: codeCancelled, Text: fmt.Sprintf("Code: %d. DB::Exception: Query was cancelled. (QUERY_WAS_CANCELLED)", codeCancelled)}
	}
	if err != nil || r.Context().Err() != nil {
		h.killer.settle(c)
	}
	a.finish(st, err)
}

// prepare makes connection and request ready for each other and gives the
// statement that takes the request's settings back.
func (h *handler) prepare(c *conn, req *request) (undo string, err error) {
	if req.stmt.text, err = h.running.translate(c, req.stmt.text); err != nil {
		return "", err
	}
	if undo, err = apply(c, req.database, req.settings); err != nil {
		return "", err
	}
	return undo, h.running.enter(req.queryID, c.tag)
}

// changesSession says whether a statement leaves something behind on its
// connection that can't be taken back one by one.
func changesSession(st statement) bool {
	if st.kind != kindAction {
		return false
	}
	sc := scanner{s: st.text}
	head, _ := sc.word()
	second, _ := sc.word()
	head, second = strings.ToUpper(head), strings.ToUpper(second)
	return head == "SET" || head == "USE" || head == "CREATE" && second == "TEMPORARY"
}

// borrow takes a connection from the pool or from the request's session.
func (h *handler) borrow(ctx context.Context, req *request) (*conn, func(clean bool), error) {
	if req.session != "" {
		// What a session's USE chose stays, so its database is only set when a
		// request names one.
		c, err := h.pool.enter(ctx, req.session, req.sessionCheck)
		if err != nil {
			return nil, nil, err
		}
		return c, func(bool) {
			c.database = "" // its statements may have chosen another
			h.pool.leave(req.session, req.sessionTimeout, req.sessionClose)
		}, nil
	}
	if req.database == "" {
		req.database = "default"
	}
	c, err := h.pool.take(ctx)
	if err != nil {
		return nil, nil, err
	}
	return c, func(clean bool) { h.pool.put(c, clean) }, nil
}

// execute runs the statement and writes its output to a.
func (h *handler) execute(c *conn, req *request, a *answer) (Stats, error) {
	switch req.stmt.kind {
	case kindInsert:
		return c.insert(req.stmt.text, req.stmt.format, req.params, io.MultiReader(strings.NewReader(req.stmt.data), req.body))
	case kindAction:
		if req.stmt.isKill() {
			return h.killer.kills(func() (Stats, error) { return h.whole(c, req, a) })
		}
		return h.whole(c, req, a)
	case kindShow:
		return h.whole(c, req, a)
	case kindRows:
	}
	if a.format() == "Native" && req.revision > 0 {
		return h.native(c, req, a)
	}
	s := shapeOf(a.format())
	if s == shapeWhole || s == shapeRows && req.asArray() {
		return h.whole(c, req, a)
	}
	j := joiner{format: a.format()}
	return c.stream(req.stmt.text, a.format(), req.params, func(b []byte) error {
		if s == shapeHeaded {
			b = j.piece(b)
		}
		_, err := a.Write(b)
		return err
	})
}

// whole runs a statement whose answer the engine gives in one piece.
func (h *handler) whole(c *conn, req *request, a *answer) (Stats, error) {
	return c.whole(req.stmt.text, a.format(), req.params, func(b []byte) error {
		if a.format() == "Native" && req.revision > 0 {
			return transcode(a, bytes.NewReader(b), req.revision)
		}
		_, err := a.Write(b)
		return err
	})
}

// native streams Native blocks of the revision the client asked for.
func (h *handler) native(c *conn, req *request, a *answer) (Stats, error) {
	pr, pw := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := transcode(a, pr, req.revision)
		pr.CloseWithError(errors.Join(err, io.ErrClosedPipe)) // unblocks the writer when the client is gone
		ended <- err
	}()
	st, err := c.stream(req.stmt.text, "Native", req.params, func(b []byte) error {
		_, err := pw.Write(b)
		return err
	})
	pw.Close()
	if terr := <-ended; err == nil {
		err = terr
	}
	return st, err
}

// fail answers an error before anything else was written.
func (h *handler) fail(w http.ResponseWriter, err error) {
	var e *Exception
	if !errors.As(err, &e) {
		e = &Exception{Code: codeUnknown, Text: fmt.Sprintf("Code: %d. DB::Exception: %v. (UNKNOWN_EXCEPTION)", codeUnknown, err)}
	}
	w.Header().Set("X-ClickHouse-Exception-Code", strconv.Itoa(e.Code))
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.Header().Del("Content-Encoding")
	w.WriteHeader(statusOf(e.Code))
	fmt.Fprintln(w, e.Text)
}
