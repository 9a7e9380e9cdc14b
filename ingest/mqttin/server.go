package mqttin

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/schemas"
)

// Config is the door's.
type Config struct {
	Addr      string
	Clients   int64
	MaxPacket uint32 // bytes, before and after log-in
	// InFlight is how many messages of one client may wait for Kafka; past it
	// its socket isn't read.
	InFlight int
	TLS      *tls.Config // nil: plain MQTT
}

// DefaultConfig listens on loopback, on a free port.
func DefaultConfig() Config {
	return Config{Addr: "127.0.0.1:0", Clients: 10_000, MaxPacket: 1 << 20, InFlight: 1000}
}

// DeadLetters takes messages that can't be read.
type DeadLetters interface {
	DeadLetter(ctx context.Context, d *schemas.DeadLetter) error
}

// Server is the door.
type Server struct {
	cfg    Config
	broker *mqtt.Server
	addr   string
}

// New makes the door; nothing is opened.
func New(cfg Config, svc *ingest.Service, dead DeadLetters, logger *slog.Logger, reg prometheus.Registerer) (*Server, error) {
	caps := mqtt.NewDefaultServerCapabilities()
	caps.MaximumClients = cfg.Clients
	caps.MaximumPacketSize = cfg.MaxPacket
	caps.MaximumQos = 1
	caps.RetainAvailable, caps.SharedSubAvailable, caps.WildcardSubAvailable, caps.SubIDAvailable = 0, 0, 0, 0
	caps.TopicAliasMaximum = 0
	caps.MaximumSessionExpiryInterval = 0
	caps.ReceiveMaximum = uint16(min(cfg.InFlight, 65_000))
	caps.MinimumProtocolVersion = 4
	b := mqtt.New(&mqtt.Options{Capabilities: caps, Logger: slog.New(levelled{logger.Handler()})})
	h := newHook(cfg, svc, dead, logger, newMetrics(reg))
	if err := b.AddHook(h, nil); err != nil {
		return nil, fmt.Errorf("adding MQTT hook: %w", err)
	}
	return &Server{cfg: cfg, broker: b}, nil
}

// Start listens and serves in the background.
func (s *Server) Start(ctx context.Context) error {
	// mochi opens its listener by itself and tells no port, so a free one is
	// found first.
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.Addr)
	if err != nil {
		return fmt.Errorf("listening for MQTT: %w", err)
	}
	s.addr = l.Addr().String()
	if s.cfg.TLS != nil {
		l = tls.NewListener(l, s.cfg.TLS)
	}
	if err := s.broker.AddListener(listeners.NewNet("mqtt", l)); err != nil {
		l.Close()
		return fmt.Errorf("adding MQTT listener: %w", err)
	}
	if err := s.broker.Serve(); err != nil {
		return fmt.Errorf("serving MQTT: %w", err)
	}
	return nil
}

// Addr is where the door listens.
func (s *Server) Addr() string { return s.addr }

// Stop closes the listener and every client. What was not acknowledged is sent
// again by the clients.
func (s *Server) Stop(context.Context) error { return s.broker.Close() }

// levelled passes warnings of the broker on as debug: clients that come and go
// or send nonsense are no one's duty to act on.
type levelled struct{ slog.Handler }

// Handle lowers the level.
func (l levelled) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	if !l.Enabled(ctx, slog.LevelDebug) {
		return nil
	}
	return l.Handler.Handle(ctx, r)
}
