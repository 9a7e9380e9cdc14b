package clickhouse

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/foodflow/foodflow/internal/tlsconf"
)

// Config says how to reach ClickHouse.
type Config struct {
	// URL is the HTTP interface, http://host:8123 or https://….
	URL string
	// Database holds the tables; it is created when missing.
	Database string
	// Cluster is what the database is replicated on; "" is one server.
	Cluster  string
	User     string
	Password string
	// TLS is what https trusts and shows.
	TLS tlsconf.Client
	// Conns bounds the connections of this process; 0 doesn't.
	Conns int
	// Compression of what is sent: none (also ""), lz4 or zstd. It costs a core more than
	// a loopback saves; over a slow network it is the other way round.
	Compression string
	// Timeout bounds one statement.
	Timeout time.Duration
}

// DefaultConfig has no address; an empty one means the embedded engine to
// whoever starts one.
func DefaultConfig() Config {
	return Config{Database: "foodflow", User: "default", Compression: "none", Timeout: 60 * time.Second}
}

// Validate names every fault at once.
func (c Config) Validate() error {
	var errs []error
	if u, err := url.Parse(c.URL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		errs = append(errs, errors.New("clickhouse.url: is not http(s)://host:port"))
	}
	if c.Database == "" {
		errs = append(errs, errors.New("clickhouse.database: must not be empty"))
	}
	switch c.Compression {
	case "", "none", "lz4", "zstd":
	default:
		errs = append(errs, fmt.Errorf("clickhouse.compression: %q is not none, lz4 or zstd", c.Compression))
	}
	errs = append(errs, c.TLS.Validate("clickhouse.tls"))
	if c.Conns < 0 {
		errs = append(errs, errors.New("clickhouse.conns: must not be negative"))
	}
	if c.Timeout <= 0 {
		errs = append(errs, errors.New("clickhouse.timeout: must be positive"))
	}
	return errors.Join(errs...)
}
