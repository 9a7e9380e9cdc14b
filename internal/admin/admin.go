package admin

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Check reports whether a part of the process can do its work now.
type Check func(ctx context.Context) error

// Server is the port.
type Server struct {
	addr string
	http *http.Server
	l    net.Listener
	tls  *tls.Config // nil: plain text

	mu     sync.Mutex // guards checks
	checks map[string]check
}

type check struct {
	look Check
	part bool // see AddPart
}

// New makes the port; nothing is opened.
func New(addr string, reg prometheus.Gatherer, version string, logger *slog.Logger) *Server {
	s := &Server{addr: addr, checks: map[string]check{}}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, version) })
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug)}
	return s
}

// Secure makes the port speak TLS from Start on; nil is plain text.
func (s *Server) Secure(c *tls.Config) { s.tls = c }

// AddCheck enters a check for /readyz: of what the process can't work without.
func (s *Server) AddCheck(name string, c Check) { s.add(name, check{c, false}) }

// AddPart enters a check of what a part of the process needs. /readyz tells what
// is wrong with it, and says 503 only when nothing is right with any part: whoever
// routes by it must not take away what the process still can do.
func (s *Server) AddPart(name string, c Check) { s.add(name, check{c, true}) }

func (s *Server) add(name string, c check) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks[name] = c
}

// checkTimeout bounds one look at /readyz.
const checkTimeout = 3 * time.Second

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
	defer cancel()
	s.mu.Lock()
	checks := maps.Clone(s.checks)
	s.mu.Unlock()
	// All at once: one that hangs must not use up the others' time. One that
	// doesn't heed its context is left behind: Kafka's client can wait half a
	// minute for an answer that was lost.
	type result struct {
		name string
		err  error
	}
	results := make(chan result, len(checks)) // holds what comes too late
	for name, c := range checks {
		go func() { results <- result{name, c.look(ctx)} }()
	}
	out := map[string]string{}
	for name := range checks {
		out[name] = "no answer in time"
	}
	for range checks {
		select {
		case r := <-results:
			if out[r.name] = answered; r.err != nil {
				out[r.name] = r.err.Error()
			}
		case <-ctx.Done():
		}
	}
	status := http.StatusOK
	if !able(checks, out) {
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(out) // fails only when the client is gone
}

const answered = "ok"

// able says whether all checks hold, and of the parts any.
func able(checks map[string]check, results map[string]string) bool {
	parts, right := 0, 0
	for name, c := range checks {
		switch ok := results[name] == answered; {
		case !c.part && !ok:
			return false
		case c.part && ok:
			parts, right = parts+1, right+1
		case c.part:
			parts++
		}
	}
	return parts == 0 || right > 0
}

// Start listens and serves in the background.
func (s *Server) Start(ctx context.Context, failed func(error)) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.addr)
	if err != nil {
		return fmt.Errorf("listening for admin: %w", err)
	}
	s.l = l
	if s.tls != nil {
		l = tls.NewListener(l, s.tls)
	}
	go func() {
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed(fmt.Errorf("serving admin: %w", err))
		}
	}()
	return nil
}

// Addr is where the port listens.
func (s *Server) Addr() string { return s.l.Addr().String() }

// Stop ends serving.
func (s *Server) Stop(ctx context.Context) error { return s.http.Shutdown(ctx) }
