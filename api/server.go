package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/foodflow/foodflow/api/auth"
	"github.com/foodflow/foodflow/api/live"
	"github.com/foodflow/foodflow/clickhouse/query"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/intake"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/telemetry"
)

// Readings are the read models; query.Reader is one.
type Readings interface {
	Readings(ctx context.Context, q query.ReadingsQuery) ([]query.Reading, bool, error)
	Buckets(ctx context.Context, res query.Resolution, q query.ReadingsQuery) ([]query.Bucket, bool, error)
	Anomalies(ctx context.Context, q query.AnomaliesQuery) ([]query.Anomaly, bool, error)
	OEE(ctx context.Context, q query.OEEQuery) ([]query.OEEParts, error)
	Latest(ctx context.Context, tenant, sensor plant.ID) (query.Reading, bool, error)
	LineStates(ctx context.Context, tenant, line plant.ID, from, to int64) ([]query.LineState, error)
	Ping(ctx context.Context) error
}

// Recorder takes in what is recorded through the API; it returns after Kafka's
// ack.
type Recorder interface {
	Readings(ctx context.Context, readings []plant.Reading) error
	LineEvents(ctx context.Context, events []plant.LineEvent) error
}

// Deps is what the API stands on.
type Deps struct {
	Store       *masterdata.Store
	Directory   *directory.Store
	Auth        *auth.Service
	Readings    Readings
	Recorder    Recorder
	Provisioner masterdata.Provisioner
	Jobs        Jobs
	Live        *live.Hub
	Registry    prometheus.Registerer // may be nil
	Logger      *slog.Logger
	Tracer      *telemetry.Tracer // may be nil
	Now         func() time.Time
}

// Server is the API.
type Server struct {
	Deps
	cfg    Config
	router chi.Router
	huma   huma.API
	limits *limiter
	gauge  *intake.Gauge

	arrivals *intake.Arrivals
	seal     *sealer
	times    map[string]bool // names of fields that are times
	m        *metrics
	http     *http.Server
	started  time.Time

	sockets sync.WaitGroup // WebSockets, which http.Server doesn't wait for

	mu sync.Mutex // guards l
	l  net.Listener
}

// New makes the server; it listens to nothing.
func New(cfg Config, deps Deps) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	installErrors()
	s := &Server{Deps: deps, cfg: cfg, router: chi.NewRouter(), limits: newLimiter(cfg.Rate, cfg.Burst), m: newMetrics(deps.Registry), started: deps.Now()}
	var err error
	if s.seal, err = newSealer(cfg.Secret); err != nil {
		return nil, err
	}
	s.arrivals = intake.NewArrivals()
	s.gauge = intake.NewGauge(deps.Directory, cfg.Quotas, deps.Now, s.m.refused.WithLabelValues("quota").Inc)
	s.router.Use(s.forwarded, s.Tracer.Middleware(routeOf), s.observe, s.recover, s.secure, s.cors, s.bound, subprotocolAuth)
	s.router.NotFound(func(w http.ResponseWriter, _ *http.Request) {
		fault.Problem(w, fault.New(fault.NotFound, "there is no such route"))
	})
	s.router.MethodNotAllowed(s.otherMethods)
	c := huma.DefaultConfig("FoodFlow", cfg.Version)
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "/api/openapi", "", "/api/schemas"
	c.CreateHooks = nil
	c.Formats = s.formats()
	c.Info.Description = aboutText
	c.Tags, c.Servers = tags(), []*huma.Server{{URL: "/", Description: "Where this document comes from"}}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer", BearerFormat: "JWT"},
		"apiKey": {Type: "apiKey", In: "header", Name: "X-API-Key"},
	}
	s.huma = humachi.New(s.router, c)
	s.huma.UseMiddleware(s.admit, s.known, s.idempotent, conditional)
	s.routes()
	s.exemplify()
	s.times = timeNames(s.huma.OpenAPI())
	s.http = &http.Server{
		Handler: s.router, ReadHeaderTimeout: cfg.ReadHeader, ReadTimeout: cfg.Read, WriteTimeout: cfg.Write, IdleTimeout: cfg.Idle,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(deps.Logger.Handler(), slog.LevelDebug),
	}
	return s, nil
}

func (s *Server) routes() {
	s.infoRoutes()
	s.docRoutes()
	s.authRoutes()
	s.lineRoutes()
	s.sensorRoutes()
	s.productRoutes()
	s.batchRoutes()
	s.userRoutes()
	s.roleRoutes()
	s.keyRoutes()
	s.tenantRoutes()
	s.jobRoutes()
	s.eventRoutes()
	s.auditRoutes()
	s.readingRoutes()
	s.anomalyRoutes()
	s.alarmRoutes()
	s.oeeRoutes()
	s.streamRoute()
	s.downtimeRoute()
}

// Handler serves the API without a listener.
func (s *Server) Handler() http.Handler { return s.router }

// OpenAPI gives the document.
func (s *Server) OpenAPI() *huma.OpenAPI { return s.huma.OpenAPI() }

// Start listens and serves; failed is called if serving ends by itself.
func (s *Server) Start(ctx context.Context, failed func(error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.l != nil {
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.Addr)
	if err != nil {
		return fmt.Errorf("listening for the api: %w", err)
	}
	s.l = l
	serve := s.http.Serve
	if s.cfg.Certificates != nil {
		s.http.TLSConfig = s.cfg.Certificates
		serve = func(l net.Listener) error { return s.http.ServeTLS(l, "", "") } // the certificates are in TLSConfig
	}
	go func() {
		if err := serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed(fmt.Errorf("serving the api: %w", err))
		}
	}()
	return nil
}

// Addr is where it listens, once started.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.l == nil {
		return s.cfg.Addr
	}
	return s.l.Addr().String()
}

// Stop ends live streams and lets running requests end. Safe twice.
func (s *Server) Stop(ctx context.Context) error {
	s.Live.Stop()
	if err := s.http.Shutdown(ctx); err != nil {
		return fmt.Errorf("stopping the api: %w", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.sockets.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping the api: %w", ctx.Err())
	}
}
