package embedded

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/foodflow/foodflow/clickhouse/embedded/chdb"
	"github.com/foodflow/foodflow/clickhouse/embedded/wire"
)

// handler answers ClickHouse's HTTP interface.
type handler struct {
	accounts []*account
	killer   *killer
	running  running
	buffers  chdb.Buffers
	timezone string
	logger   *slog.Logger
	// long counts the requests that may have taken their connection over, which
	// net/http doesn't wait for.
	long sync.WaitGroup
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
		w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, "There is no handle %s\n\nUse / or /ping for health checks.\nOr /replicas_status for more sophisticated health checks.\n\nSend queries from your program with POST method or GET /?query=...\n", r.URL.Path)
		return
	}
	q := r.URL.Query()
	switch r.Method {
	case http.MethodOptions:
		h.preflight(w)
		return
	case http.MethodGet, http.MethodHead:
		if !q.Has("query") {
			fmt.Fprintln(w, "Ok.")
			return
		}
	case http.MethodPost:
	default:
		h.fail(w, chdb.Raise(codeNotImplemented, "NOT_IMPLEMENTED", "The method is %s, not GET, HEAD, POST or OPTIONS", r.Method))
		return
	}
	who, err := h.authenticate(r, q)
	if err != nil {
		h.fail(w, err)
		return
	}
	req, err := readRequest(r, q)
	if err != nil {
		h.fail(w, err)
		return
	}
	if req.queryID == "" {
		req.queryID = r.Header.Get("X-ClickHouse-Query-Id")
	}
	if req.queryID == "" {
		req.queryID = uuid.NewString()
	}
	tag := wire.NewTag()
	header := w.Header()
	header.Set("X-ClickHouse-Query-Id", req.queryID)
	header.Set("X-ClickHouse-Timezone", h.timezone)
	header.Set("Access-Control-Expose-Headers", wire.Exposed)
	header.Set(wire.TagHeader, tag)
	if req.cors && r.Header.Get("Origin") != "" && who.password != "" {
		header.Set("Access-Control-Allow-Origin", "*")
	}
	h.run(w, r, who, req, tag)
}

// preflight answers a browser that asks whether a page of another site may send a
// request: as a server's usual configuration does, but only where a password
// guards every account.
func (h *handler) preflight(w http.ResponseWriter) {
	if !slices.ContainsFunc(h.accounts, func(a *account) bool { return a.password == "" }) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Allow-Headers", "origin, x-requested-with, x-clickhouse-format, x-clickhouse-user, x-clickhouse-key, Authorization")
		w.Header().Set("Access-Control-Allow-Methods", "POST, GET, OPTIONS")
		w.Header().Set("Access-Control-Max-Age", "86400")
	}
	w.WriteHeader(http.StatusNoContent)
}

// fail answers what is wrong with a request before it has a format.
func (h *handler) fail(w http.ResponseWriter, err error) {
	e := asException(err)
	wire.Fail(w, e.Code, e.Text, "", false)
}
