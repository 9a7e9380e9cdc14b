package mqttin

import (
	"crypto/tls"
	"errors"
	"time"

	"github.com/foodflow/foodflow/internal/telemetry"
)

// Config is the door's.
type Config struct {
	Addr string
	// Clients is how many may be logged in; Pending is how many sockets may be
	// open that are not, or not yet: past it the oldest of them goes.
	Clients int
	Pending int
	// TenantShare is the part of Clients that one tenant may have.
	TenantShare float64
	// MaxPacket and MaxConnect bound a packet, in bytes, after and before log-in.
	// A message that can't be read must fit into a dead letter whole, with its
	// topic, and Kafka takes records of a million bytes.
	MaxPacket  uint32
	MaxConnect int
	// InFlight is how many messages of one client may wait for Kafka; past it
	// its socket isn't read. MQTT 5 clients are told (Receive Maximum).
	InFlight int
	// Aliases is how many topic aliases an MQTT 5 client may use.
	Aliases uint16
	// LoginTime is how long a socket may be open before its CONNECT is there,
	// PacketTime how long a packet may take from its first byte to its last,
	// WriteTime how long a client may take to receive an answer.
	LoginTime, PacketTime, WriteTime time.Duration
	// KeepAlive is the longest silence that an MQTT 5 client may ask for; it is
	// told a shorter one if need be.
	KeepAlive time.Duration
	// Session is how long a client that asked for it finds its session again,
	// Sessions how many of those who are away are remembered.
	Session  time.Duration
	Sessions int
	// Recheck is how often the keys of those who are connected are looked at.
	Recheck time.Duration
	TLS     *tls.Config       // nil: plain MQTT
	Tracer  *telemetry.Tracer // nil: no traces
}

// DefaultConfig listens on loopback, on a free port.
func DefaultConfig() Config {
	return Config{
		Addr: "127.0.0.1:0", Clients: 10_000, Pending: 1_000, TenantShare: 0.5,
		MaxPacket: 512 << 10, MaxConnect: 16 << 10, InFlight: 1000, Aliases: 64,
		LoginTime: 10 * time.Second, PacketTime: 30 * time.Second, WriteTime: 15 * time.Second,
		KeepAlive: 20 * time.Minute, Session: time.Hour, Sessions: 40_000, Recheck: 250 * time.Millisecond,
	}
}

// maxInFlight is what MQTT 5 can say of it, and some.
const maxInFlight = 60_000

// Validate names every fault at once.
func (c Config) Validate() error {
	var errs []error
	for name, ok := range map[string]bool{
		"clients: must be positive":                                c.Clients > 0,
		"pending: must be positive":                                c.Pending > 0,
		"tenant_share: must be above 0 and at most 1":              c.TenantShare > 0 && c.TenantShare <= 1,
		"max_packet: must be between 1 KiB and 768 KiB":            c.MaxPacket >= 1<<10 && c.MaxPacket <= 768<<10,
		"max_connect: must be between 256 bytes and max_packet":    c.MaxConnect >= 256 && c.MaxConnect <= int(c.MaxPacket),
		"in_flight: must be between 1 and 60000":                   c.InFlight > 0 && c.InFlight <= maxInFlight,
		"login_time, packet_time, write_time: must be positive":    c.LoginTime > 0 && c.PacketTime > 0 && c.WriteTime > 0,
		"keep_alive: must be between a second and half a day":      c.KeepAlive >= time.Second && c.KeepAlive <= 12*time.Hour,
		"session: must be at least 0 and at most a day":            c.Session >= 0 && c.Session <= 24*time.Hour,
		"sessions: must not be negative":                           c.Sessions >= 0,
		"recheck: must be positive, and below a second to be kept": c.Recheck > 0 && c.Recheck < time.Second,
	} {
		if !ok {
			errs = append(errs, errors.New("mqtt."+name))
		}
	}
	return errors.Join(errs...)
}
