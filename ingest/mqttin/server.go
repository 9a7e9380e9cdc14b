package mqttin

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// DeadLetters takes messages that can't be read.
type DeadLetters interface {
	DeadLetter(ctx context.Context, d *schemas.DeadLetter) error
}

// Server is the door.
type Server struct {
	cfg    Config
	svc    *ingest.Service
	dead   DeadLetters
	logger *slog.Logger
	m      *metrics
	broker *mqtt.Server
	addr   string

	running sync.WaitGroup // connections, and who acknowledges theirs
	letters sync.WaitGroup // dead letters on their way
	stop    context.CancelFunc
	stopped sync.Once
	watched chan struct{} // closed when watch has ended

	mu       sync.Mutex // guards the rest
	conns    map[*conn]struct{}
	strange  map[*conn]struct{} // of them, those that are not logged in
	tenants  map[plant.ID]int   // clients that are logged in
	logins   int
	sessions map[string]session
	away     int // sessions without a connection
	ending   bool
}

// New makes the door; nothing is opened.
func New(cfg Config, svc *ingest.Service, dead DeadLetters, logger *slog.Logger, reg prometheus.Registerer) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	l := svc.Limits()
	if share := int64(float64(l.InFlight) * l.Quotas.TenantShare); share < 2*int64(cfg.MaxPacket)+readBuffer {
		return nil, fmt.Errorf("mqtt.max_packet: two packets of %d bytes don't fit into a tenant's share of the bytes in flight, %d", cfg.MaxPacket, share)
	}
	caps := mqtt.NewDefaultServerCapabilities()
	caps.MaximumClients = int64(cfg.Clients)
	caps.MaximumPacketSize = cfg.MaxPacket
	caps.MaximumQos = 1
	caps.SharedSubAvailable, caps.WildcardSubAvailable, caps.SubIDAvailable = 0, 0, 0
	caps.TopicAliasMaximum = cfg.Aliases
	caps.MaximumSessionExpiryInterval = 0
	caps.MaximumClientWritesPending = 1 // nothing is ever queued; mochi makes room for all of it for each socket
	caps.ReceiveMaximum = uint16(cfg.InFlight)
	caps.MinimumProtocolVersion = 4
	s := &Server{
		cfg: cfg, svc: svc, dead: dead, logger: logger,
		conns: map[*conn]struct{}{}, strange: map[*conn]struct{}{}, tenants: map[plant.ID]int{}, sessions: map[string]session{},
	}
	s.m = newMetrics(s, reg)
	const day = 24 * 60 * 60
	s.broker = mqtt.New(&mqtt.Options{
		Capabilities: caps, Logger: slog.New(discreet{logger.Handler()}),
		ClientNetReadBufferSize: readBuffer, SysTopicResendInterval: day, // each stops the world for a moment, for nobody
	})
	if err := s.broker.AddHook(&hook{s: s}, nil); err != nil {
		return nil, fmt.Errorf("adding MQTT hook: %w", err)
	}
	return s, nil
}

// Start listens and serves in the background.
func (s *Server) Start(ctx context.Context) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.Addr)
	if err != nil {
		return fmt.Errorf("listening for MQTT: %w", err)
	}
	s.addr = l.Addr().String()
	if s.cfg.TLS != nil {
		l = tls.NewListener(l, s.cfg.TLS)
	}
	if err := s.broker.AddListener(&listener{Listener: l, s: s}); err != nil {
		l.Close()
		return fmt.Errorf("adding MQTT listener: %w", err)
	}
	if err := s.broker.Serve(); err != nil {
		return fmt.Errorf("serving MQTT: %w", err)
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.stop, s.watched = cancel, make(chan struct{})
	go s.watch(own)
	return nil
}

// Addr is where the door listens.
func (s *Server) Addr() string { return s.addr }

// Stop takes no further connections and reads no further packets, answers what
// has come, and closes. What is not answered when ctx ends is sent again by the
// clients.
func (s *Server) Stop(ctx context.Context) error {
	var err error
	s.stopped.Do(func() {
		if s.stop == nil {
			return // never started
		}
		s.stop()
		<-s.watched
		if l, ok := s.broker.Listeners.Get("mqtt"); ok {
			l.Close(nil)
		}
		for _, c := range s.end() {
			c.drain()
		}
		cancel := context.AfterFunc(ctx, s.cut)
		s.running.Wait()
		cancel()
		buried := make(chan struct{})
		go func() { s.letters.Wait(); close(buried) }()
		select {
		case <-buried:
		case <-ctx.Done():
		}
		if err = s.broker.Close(); err != nil {
			err = fmt.Errorf("closing MQTT: %w", err)
		}
	})
	return err
}

// watch disconnects those whose key was revoked or has expired, and forgets
// sessions.
func (s *Server) watch(ctx context.Context) {
	defer close(s.watched)
	tick := time.NewTicker(s.cfg.Recheck)
	defer tick.Stop()
	sweep := time.NewTicker(time.Minute)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-sweep.C:
			s.expire(now)
			continue
		case <-tick.C:
		}
		for _, c := range s.all() {
			if l := c.login.Load(); l != nil && s.svc.Still(l.who) != nil && c.expelled.CompareAndSwap(false, true) {
				s.m.closed.WithLabelValues(closedRevoked).Inc()
				// Not here: one that doesn't listen would keep the others in.
				s.running.Go(func() { c.expel(l, packets.ErrNotAuthorized) })
			}
		}
	}
}

// discreet passes warnings of mochi on as debug, since clients that come and go
// or send nonsense are no one's duty to act on, and keeps packets out of the
// log: they hold keys and payloads.
type discreet struct{ slog.Handler }

// Handle lowers the level.
func (d discreet) Handle(ctx context.Context, r slog.Record) error {
	if !d.Enabled(ctx, slog.LevelDebug) {
		return nil
	}
	out := slog.NewRecord(r.Time, slog.LevelDebug, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "pk", "packet", "will":
		default:
			out.AddAttrs(a)
		}
		return true
	})
	return d.Handler.Handle(ctx, out) //nolint:wrapcheck // ours to pass on
}
