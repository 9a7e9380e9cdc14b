package httpin

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// Config is the door's.
type Config struct {
	Addr        string
	Connections int
	ReadTimeout time.Duration // of a whole request
	Keys        int
	KeyTTL      time.Duration
	TLS         *tls.Config // nil: plain HTTP
}

// DefaultConfig listens on loopback, on a free port.
func DefaultConfig() Config {
	return Config{Addr: "127.0.0.1:0", Connections: 4096, ReadTimeout: 30 * time.Second, Keys: 100_000, KeyTTL: 10 * time.Minute}
}

// Server is the door.
type Server struct {
	cfg    Config
	svc    *ingest.Service
	keys   *keys
	bodies sync.Pool // of *bytes.Buffer
	http   *http.Server
	l      net.Listener
	logger *slog.Logger
}

// New makes the door; nothing is opened.
func New(cfg Config, svc *ingest.Service, logger *slog.Logger) *Server {
	s := &Server{cfg: cfg, svc: svc, keys: newKeys(cfg.Keys, cfg.KeyTTL), logger: logger}
	s.bodies.New = func() any { return new(bytes.Buffer) }
	s.http = &http.Server{
		Handler: s.routes(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: cfg.ReadTimeout, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	return s
}

// Start listens and serves in the background. failed is called when serving
// ends by itself.
func (s *Server) Start(ctx context.Context, failed func(error)) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.Addr)
	if err != nil {
		return fmt.Errorf("listening for HTTP ingest: %w", err)
	}
	s.l = l
	bounded := newLimitListener(l, s.cfg.Connections)
	if s.cfg.TLS != nil {
		bounded = tls.NewListener(bounded, s.cfg.TLS)
	}
	go func() {
		if err := s.http.Serve(bounded); !errors.Is(err, http.ErrServerClosed) {
			failed(fmt.Errorf("serving HTTP ingest: %w", err))
		}
	}()
	return nil
}

// Addr is where the door listens.
func (s *Server) Addr() string { return s.l.Addr().String() }

// Stop lets running requests finish.
func (s *Server) Stop(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return fmt.Errorf("draining HTTP ingest: %w", err)
	}
	return nil
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/readings", func(w http.ResponseWriter, r *http.Request) { s.accept(w, r, ingest.Readings) })
	mux.HandleFunc("POST /v1/line-events", func(w http.ResponseWriter, r *http.Request) { s.accept(w, r, ingest.Events) })
	for _, path := range []string{"/v1/readings", "/v1/line-events"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", http.MethodPost)
			fault.Problem(w, fault.New(fault.MethodNotAllowed, "send with POST"))
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fault.Problem(w, fault.New(fault.NotFound, "the routes are /v1/readings and /v1/line-events"))
	})
	return mux
}

// accept answers one request.
func (s *Server) accept(w http.ResponseWriter, r *http.Request, kind ingest.Kind) {
	who, err := s.svc.Authenticate(r.Header.Get("X-API-Key"))
	if err != nil {
		fault.Problem(w, err)
		return
	}
	f, err := formatOf(r)
	if err != nil {
		fault.Problem(w, err)
		return
	}
	reserve := s.svc.Limits().Body
	if n := r.ContentLength; n > reserve {
		fault.Problem(w, tooLarge(reserve))
		return
	} else if n >= 0 {
		reserve = n
	}
	held := &room{svc: s.svc}
	defer held.release()
	if err := held.take(reserve); err != nil {
		fault.Problem(w, err)
		return
	}
	body, done, err := s.body(r, reserve, held)
	if err != nil {
		fault.Problem(w, err)
		return
	}
	defer done()
	partial := r.URL.Query().Get("partial") == "true"
	ctx := r.Context()
	work := func() (answer, error) { return s.publish(ctx, who.Tenant, kind, f, body, partial) }
	var a answer
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		a, err = s.keys.once(ctx, who.Tenant, key, fingerprint(kind, partial, body), work)
	} else {
		a, err = work()
	}
	if err != nil {
		fault.Problem(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(a) // fails only when the client is gone
}

// answer is what a producer gets for an accepted request.
type answer struct {
	Accepted int          `json:"accepted"`
	Receipt  plant.ID     `json:"receipt"`
	Rejected int          `json:"rejected,omitempty"`
	Errors   []fault.Item `json:"errors,omitempty"`
}

func (s *Server) publish(ctx context.Context, tenant plant.ID, kind ingest.Kind, f format, body []byte, partial bool) (answer, error) {
	b := s.svc.Begin(tenant, kind)
	defer s.svc.End(b)
	if err := f.read(b, kind, body); err != nil {
		return answer{}, err
	}
	if err := s.svc.Publish(ctx, kind, b, partial); err != nil {
		return answer{}, err
	}
	a := answer{Accepted: b.Len(), Receipt: plant.NewID(), Rejected: b.Bad()}
	if b.Bad() > 0 {
		a.Errors = append(a.Errors, b.Errors()...)
	}
	return a, nil
}

// format is a media type the door reads.
type format uint8

const (
	formatJSON format = iota
	formatLines
	formatAvro
)

func formatOf(r *http.Request) (format, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && (media == "application/json" || media == "text/json"):
		return formatJSON, nil
	case err == nil && (media == "application/x-ndjson" || media == "application/ndjson" || media == "application/jsonl"):
		return formatLines, nil
	case err == nil && (media == "application/avro" || media == "avro/binary"):
		return formatAvro, nil
	}
	return 0, fault.New(fault.UnsupportedMedia, "Content-Type must be application/json, application/x-ndjson or application/avro")
}

func (f format) read(b *ingest.Batch, kind ingest.Kind, body []byte) error {
	switch {
	case f == formatAvro && kind == ingest.Readings:
		return b.ReadReadingsAvro(body)
	case f == formatAvro:
		return b.ReadEventsAvro(body)
	case f == formatJSON && kind == ingest.Readings:
		return b.ReadReadings(body)
	case f == formatJSON:
		return b.ReadEvents(body)
	case kind == ingest.Readings:
		return b.ReadReadingLines(body)
	}
	return b.ReadEventLines(body)
}
