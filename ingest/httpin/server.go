package httpin

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/intake"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/telemetry"
)

// Config is the door's.
type Config struct {
	Addr        string
	Connections int
	ReadTimeout time.Duration     // of a whole request
	Keys        int               // Idempotency-Keys that are remembered
	KeyBytes    int               // memory for their answers
	KeyTTL      time.Duration     // how long
	TLS         *tls.Config       // nil: plain HTTP
	Tracer      *telemetry.Tracer // nil: no traces
}

// DefaultConfig listens on loopback, on a free port.
func DefaultConfig() Config {
	return Config{Addr: "127.0.0.1:0", Connections: 4096, ReadTimeout: 30 * time.Second, Keys: 100_000, KeyBytes: 64 << 20, KeyTTL: 10 * time.Minute}
}

// Server is the door.
type Server struct {
	cfg    Config
	svc    *ingest.Service
	keys   *keys
	bodies sync.Pool // of *[]byte
	http   *http.Server
	l      net.Listener
	logger *slog.Logger
}

// New makes the door; nothing is opened.
func New(cfg Config, svc *ingest.Service, logger *slog.Logger) *Server {
	s := &Server{cfg: cfg, svc: svc, keys: newKeys(cfg.Keys, cfg.KeyBytes, cfg.KeyTTL), logger: logger}
	s.bodies.New = func() any { return new([]byte) }
	s.http = &http.Server{
		Handler: cfg.Tracer.Middleware(routeOf)(s.routes()), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: cfg.ReadTimeout, IdleTimeout: 2 * time.Minute,
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
	mux.HandleFunc("GET "+fault.TypePath+"{name}", fault.ServePage)
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

// routeOf is one of the routes, or "none": a path is the client's.
func routeOf(r *http.Request) string {
	if r.Pattern == "" || r.Pattern == "/" {
		return "none"
	}
	_, path, found := strings.Cut(r.Pattern, " ")
	if !found {
		return r.Pattern
	}
	return path
}

// accept answers one request.
func (s *Server) accept(w http.ResponseWriter, r *http.Request, kind ingest.Kind) {
	defer s.recovered(w, r)
	began := time.Now()
	var tenant plant.ID
	a, err := s.take(w.Header(), r, kind, &tenant)
	s.note(w.Header(), r, tenant, a, err, time.Since(began))
	if err != nil {
		fault.Problem(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(a) // fails only when the client is gone
}

// take does the work of one request and sets headers of its answer. What can be
// refused by the head alone is refused before the body is read.
func (s *Server) take(h http.Header, r *http.Request, kind ingest.Kind, tenant *plant.ID) (answer, error) {
	who, err := s.svc.Authenticate(r.Header.Get("X-API-Key"))
	if err != nil {
		return answer{}, err
	}
	*tenant = who.Tenant
	q := request{kind: kind, meter: s.svc.Meter(who), tenant: who.Tenant}
	defer q.meter.WriteHeader(h)
	if q.format, err = formatOf(r, h); err != nil {
		return answer{}, err
	}
	ctx := r.Context()
	c, err := codingOf(r, h)
	if err != nil {
		return answer{}, err
	}
	if q.partial, err = partialOf(r); err != nil {
		return answer{}, err
	}
	reserve := s.svc.Limits().Body
	if n := r.ContentLength; n > reserve {
		return answer{}, tooLarge(reserve)
	} else if n >= 0 {
		reserve = n
	}
	if err := q.meter.Admit(r.ContentLength); err != nil {
		return answer{}, err
	}
	held := &room{svc: s.svc, tenant: who.Tenant}
	defer held.release()
	if err := held.take(reserve); err != nil {
		return answer{}, err
	}
	b, err := s.body(r, c, reserve, held)
	if err != nil {
		return answer{}, err
	}
	defer b.done()
	if r.ContentLength < 0 {
		if err := q.meter.Bytes(b.sent); err != nil {
			return answer{}, err
		}
	}
	q.body = b.bytes
	work := func() (answer, error) { return s.publish(ctx, &q) }
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		return s.keys.once(ctx, keyName{who.KeyID, key}, q.fingerprint(), work)
	}
	return work()
}

// request is one that was let in.
type request struct {
	kind    ingest.Kind
	format  format
	partial bool
	tenant  plant.ID
	meter   *intake.Meter
	body    []byte
}

// answer is what a producer gets for an accepted request.
type answer struct {
	Accepted int          `json:"accepted"`
	Receipt  plant.ID     `json:"receipt"`
	Rejected int          `json:"rejected,omitempty"`     // items
	Errors   []fault.Item `json:"errors,omitempty"`       // what is wrong with them, up to Limits.Errors
	Total    int          `json:"errors_total,omitempty"` // of Errors, listed or not
}

func (s *Server) publish(ctx context.Context, q *request) (answer, error) {
	b := s.svc.Begin(q.tenant, q.kind)
	defer s.svc.End(b)
	unread := q.format.read(b, q.kind, q.body)
	if err := q.meter.Items(b.Items()); err != nil {
		return answer{}, err
	}
	if unread != nil {
		return answer{}, unread
	}
	if err := s.svc.Publish(ctx, q.kind, b, q.partial); err != nil {
		return answer{}, err
	}
	a := answer{Accepted: b.Len(), Receipt: plant.NewID(), Rejected: b.Bad(), Total: b.Faults()}
	if b.Bad() > 0 {
		a.Errors = append(a.Errors, b.Errors()...)
	}
	return a, nil
}

// partialOf reads ?partial. A value that is neither would have one meaning to
// the producer and another to us.
func partialOf(r *http.Request) (bool, error) {
	if r.URL.RawQuery == "" {
		return false, nil
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return false, fault.New(fault.BadRequest, "the query string can't be read")
	}
	switch v := q["partial"]; {
	case len(v) == 0, len(v) == 1 && v[0] == "false":
		return false, nil
	case len(v) == 1 && v[0] == "true":
		return true, nil
	}
	e := fault.New(fault.BadRequest, "partial must stand once, as true or false")
	e.Items = []fault.Item{{Location: "partial", Rule: "enum", Message: "must be true or false"}}
	return false, e
}

// format is a media type the door reads.
type format uint8

const (
	formatJSON format = iota
	formatLines
	formatAvro
)

func formatOf(r *http.Request, h http.Header) (format, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && (media == "application/json" || media == "text/json"):
		return formatJSON, nil
	case err == nil && (media == "application/x-ndjson" || media == "application/ndjson" || media == "application/jsonl"):
		return formatLines, nil
	case err == nil && (media == "application/avro" || media == "avro/binary"):
		return formatAvro, nil
	}
	h.Set("Accept", "application/json, application/x-ndjson, application/avro")
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
