package api

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	chimw "github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/foodflow/foodflow/api/auth"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	refused  *prometheus.CounterVec
	panics   prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_api_requests_total", Help: "Requests answered, by class of status."}, []string{"status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "foodflow_api_request_duration_seconds", Help: "Time to answer, by route.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}, []string{"route"}),
		refused:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_api_refused_total", Help: "Requests refused before their handler, by reason."}, []string{"reason"}),
		panics:   prometheus.NewCounter(prometheus.CounterOpts{Name: "foodflow_api_panics_total", Help: "Handlers that panicked."}),
	}
	for _, c := range []string{"2xx", "3xx", "4xx", "5xx"} {
		m.requests.WithLabelValues(c)
	}
	for _, r := range []string{"unauthenticated", "forbidden", "rate", "quota", "parameter"} {
		m.refused.WithLabelValues(r)
	}
	if reg != nil {
		reg.MustRegister(m.requests, m.duration, m.refused, m.panics)
	}
	return m
}

// about is what is learnt of a request on its way.
type about struct {
	id   string
	who  auth.Principal
	read int64 // bytes of the body
}

type aboutKey struct{}

func requestID(ctx context.Context) string {
	if a, ok := ctx.Value(aboutKey{}).(*about); ok {
		return a.id
	}
	return ""
}

// bodySize is how much of the body was read.
func bodySize(ctx context.Context) int64 {
	if a, ok := ctx.Value(aboutKey{}).(*about); ok {
		return a.read
	}
	return 0
}

// counted counts what is read of a body.
type counted struct {
	io.ReadCloser
	a *about
}

// Read reads and counts.
func (c counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.a.read += int64(n)
	return n, err
}

// note tells the access log who asked.
func note(ctx context.Context, p auth.Principal) {
	if a, ok := ctx.Value(aboutKey{}).(*about); ok {
		a.who = p
	}
}

// observe gives a request its id, logs and counts it. Neither the query nor any
// header is logged: they hold tokens and data.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := &about{id: plant.NewID().String()}
		w.Header().Set("X-Request-Id", a.id)
		r = r.WithContext(context.WithValue(r.Context(), aboutKey{}, a))
		if r.Body != nil {
			r.Body = counted{r.Body, a}
		}
		ww := chimw.NewWrapResponseWriter(w, r.ProtoMajor)
		start := s.Now()
		next.ServeHTTP(ww, r)
		took := s.Now().Sub(start)
		route := chi.RouteContext(r.Context()).RoutePattern()
		if route == "" {
			route = "none"
		}
		status := ww.Status()
		if status == 0 {
			status = http.StatusOK
		}
		s.m.requests.WithLabelValues(strconv.Itoa(status/100) + "xx").Inc()
		s.m.duration.WithLabelValues(route).Observe(took.Seconds())
		s.Logger.InfoContext(r.Context(), "request", "request_id", a.id, "method", r.Method, "route", route, "status", status,
			"bytes", ww.BytesWritten(), "duration_ms", took.Milliseconds(), "source", address(r), "tenant", a.who.Tenant, "subject", a.who.Subject)
	})
}

// routeOf is the pattern that a request met, or "none".
func routeOf(r *http.Request) string {
	if c := chi.RouteContext(r.Context()); c != nil && c.RoutePattern() != "" {
		return c.RoutePattern()
	}
	return "none"
}

// recover answers a panic with a 500 and keeps the process.
func (s *Server) recover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(v)
			}
			s.m.panics.Inc()
			s.Logger.ErrorContext(r.Context(), "handler panicked", "panic", v, "stack", string(debug.Stack()), "request_id", requestID(r.Context()))
			fault.Problem(w, fault.New(fault.Internal, ""))
		}()
		next.ServeHTTP(w, r)
	})
}

// secure sets the headers that keep a browser from doing more than it should
// with an answer.
func (s *Server) secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if s.cfg.TLS {
			h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
		}
		next.ServeHTTP(w, r)
	})
}

// cors answers browsers of the listed origins.
func (s *Server) cors(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		w.Header().Add("Vary", "Origin")
		if origin == "" || !slices.Contains(s.cfg.Origins, origin) {
			next.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", "ETag, Location, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, RateLimit-Policy, X-Request-Id, Idempotency-Replayed, Preference-Applied")
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			h.Set("Access-Control-Allow-Methods", "GET, POST, PATCH, DELETE")
			h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key, Last-Event-ID, Prefer, X-API-Key")
			h.Set("Access-Control-Max-Age", "600")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// bound limits a body and the time a handler may work.
func (s *Server) bound(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, s.cfg.MaxBody)
		if r.URL.Path == streamPath { // ends by itself
			next.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), s.cfg.Write-time.Second)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// address is where a request comes from. Forwarding headers are believed from
// proxies of ours only (see forwarded): anyone can send them.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// otherMethods answers a method that a route lacks with those it has.
func (s *Server) otherMethods(w http.ResponseWriter, r *http.Request) {
	path := r.URL.RawPath // as chi looks for it
	if path == "" {
		path = r.URL.Path
	}
	var has []string
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete} {
		if s.router.Match(chi.NewRouteContext(), m, path) {
			has = append(has, m)
		}
	}
	allow := strings.Join(has, ", ")
	w.Header().Set("Allow", allow)
	fault.Problem(w, fault.New(fault.MethodNotAllowed, "the route takes %s", allow))
}
