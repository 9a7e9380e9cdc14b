package registry

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/foodflow/foodflow/internal/tlsconf"
)

// Config says how to reach the registry.
type Config struct {
	// URL is http(s)://host:port, with a path where the registry has one.
	URL string
	// User and Password, or Token, where the registry asks for them.
	User     string
	Password string
	Token    string
	// TLS is what https trusts and shows.
	TLS tlsconf.Client
	// CachePath is the file that keeps what the registry said; "" keeps it in
	// memory only, and a restart then needs the registry.
	CachePath string
	// Timeout bounds one try, Attempts the number of tries, Backoff the pause
	// before the second one; it doubles after that.
	Timeout  time.Duration
	Attempts int
	Backoff  time.Duration
}

// DefaultConfig has no address; an empty one means the embedded engine to
// whoever starts one.
func DefaultConfig() Config {
	return Config{Timeout: 2 * time.Second, Attempts: 4, Backoff: 100 * time.Millisecond}
}

// Validate names every fault at once.
func (c Config) Validate() error {
	var errs []error
	if u, err := url.Parse(c.URL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		errs = append(errs, fmt.Errorf("registry.url: %q is not http(s)://host:port", redact(c.URL)))
	}
	if c.User != "" && c.Token != "" {
		errs = append(errs, errors.New("registry.user and registry.token: only one may be set"))
	}
	errs = append(errs, c.TLS.Validate("registry.tls"))
	if c.Timeout <= 0 {
		errs = append(errs, errors.New("registry.timeout: must be positive"))
	}
	if c.Attempts < 1 || c.Attempts > 100 {
		errs = append(errs, errors.New("registry.attempts: must be between 1 and 100"))
	}
	if c.Backoff < 0 {
		errs = append(errs, errors.New("registry.backoff: must not be negative"))
	}
	return errors.Join(errs...)
}

// redact takes the password out of an address, so that it never reaches a log.
func redact(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(unreadable)"
	}
	return u.Redacted()
}
