package api

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"time"

	"github.com/foodflow/foodflow/internal/intake"
)

// Config bounds the API.
type Config struct {
	Addr string
	// Secret binds cursors; 32 random bytes of the installation.
	Secret []byte
	// Origins may call from a browser (CORS); none by default.
	Origins []string
	// Proxies are the networks of the proxies in front of this port, whose
	// X-Forwarded-For tells a client's address; none by default.
	Proxies []netip.Prefix
	// OperatorTenant is the key of the tenant whose admins manage tenants; ""
	// lets nobody.
	OperatorTenant string
	// Archives is where exports of tenants lie.
	Archives string
	// Rate and Burst bound the requests of one principal, or of one address
	// without credentials: a second, and at once.
	Rate  float64
	Burst int
	// Bounds and Quotas hold what is recorded by hand, as they hold what ingest
	// takes.
	Bounds intake.Bounds
	Quotas intake.Quotas
	// MaxBody bounds a request's body in bytes.
	MaxBody int64
	// Timeouts of the listener.
	ReadHeader time.Duration
	Read       time.Duration
	Write      time.Duration
	Idle       time.Duration
	// Heartbeat is the longest silence of a live stream, Slow how long a client
	// may take to accept one message of it.
	Heartbeat time.Duration
	Slow      time.Duration
	// TLS says that clients reach this port by HTTPS, so that they are told to
	// keep to it.
	TLS bool
	// Certificates make the listener speak TLS; nil: plain HTTP.
	Certificates *tls.Config
	// Version is shown at / and /health.
	Version string
}

// DefaultConfig listens on loopback.
func DefaultConfig() Config {
	return Config{
		Addr: "127.0.0.1:8080", Rate: 100, Burst: 200, MaxBody: 1 << 20, Bounds: intake.DefaultBounds(), Quotas: intake.DefaultQuotas(),
		ReadHeader: 5 * time.Second, Read: 15 * time.Second, Write: 60 * time.Second, Idle: 2 * time.Minute, Heartbeat: 15 * time.Second, Slow: 10 * time.Second, Version: "dev",
	}
}

// Validate names every fault at once.
func (c Config) Validate() error {
	var errs []error
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		errs = append(errs, errors.New("api.addr: must be host:port"))
	}
	if len(c.Secret) != 32 {
		errs = append(errs, errors.New("api.secret: must have 32 bytes"))
	}
	for _, o := range c.Origins {
		if u, err := url.Parse(o); err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" {
			errs = append(errs, fmt.Errorf("api.origins: %q is not scheme://host[:port]", o))
		}
	}
	if c.Rate <= 0 || c.Burst < 1 {
		errs = append(errs, errors.New("api.rate, api.burst: must be positive"))
	}
	if c.MaxBody < 1<<10 {
		errs = append(errs, errors.New("api.max_body: must be at least 1024"))
	}
	for name, d := range map[string]time.Duration{"read_header": c.ReadHeader, "read": c.Read, "write": c.Write, "idle": c.Idle, "heartbeat": c.Heartbeat, "slow": c.Slow} {
		if d <= 0 {
			errs = append(errs, fmt.Errorf("api.%s: must be positive", name))
		}
	}
	return errors.Join(append(errs, c.Bounds.Validate(), c.Quotas.Validate())...)
}
