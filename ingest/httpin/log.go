package httpin

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// note logs a request: with level debug, since there are tens of thousands a
// second, but for what is our own fault. An accepted one is named by its
// receipt; a refused one gets a name, which the answer carries too. No header,
// no query and nothing of the body is logged.
func (s *Server) note(h http.Header, r *http.Request, tenant plant.ID, a answer, err error, took time.Duration) {
	level, status, id := slog.LevelDebug, http.StatusAccepted, a.Receipt
	if err != nil {
		id, status = plant.NewID(), fault.Status(fault.KindOf(err))
		h.Set("X-Request-Id", id.String())
		if status == http.StatusInternalServerError {
			level = slog.LevelError
		}
	}
	if !s.logger.Enabled(r.Context(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request_id", id.String()), slog.String("method", r.Method), slog.String("route", routeOf(r)), slog.Int("status", status),
		slog.Int("accepted", a.Accepted), slog.Int64("duration_ms", took.Milliseconds()), slog.String("tenant", tenant.String()), slog.String("source", host(r)),
	}
	if level == slog.LevelError {
		attrs = append(attrs, slog.Any("error", err))
	}
	s.logger.LogAttrs(r.Context(), level, "request", attrs...)
}

// recovered answers a panic with a 500 and keeps the process.
func (s *Server) recovered(w http.ResponseWriter, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	s.logger.ErrorContext(r.Context(), "handler panicked", "panic", v, "stack", string(debug.Stack()), "route", routeOf(r))
	fault.Problem(w, fault.New(fault.Internal, ""))
}

// host is where a request comes from, without its port.
func host(r *http.Request) string {
	h, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return h
}
