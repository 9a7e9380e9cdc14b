package clickhouse

import (
	"errors"
	"fmt"
	"net/url"
	"time"
)

// Config says how to reach ClickHouse.
type Config struct {
	// URL is the HTTP interface, http://host:8123 or https://….
	URL string
	// Database holds the tables; it is created when missing.
	Database string
	User     string
	Password string
	// Timeout bounds one statement.
	Timeout time.Duration
}

// DefaultConfig has no address; an empty one means the embedded engine to
// whoever starts one.
func DefaultConfig() Config {
	return Config{Database: "foodflow", User: "default", Timeout: 60 * time.Second}
}

// Validate names every fault at once.
func (c Config) Validate() error {
	var errs []error
	if u, err := url.Parse(c.URL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		errs = append(errs, fmt.Errorf("clickhouse.url: %q is not http(s)://host:port", c.URL))
	}
	if c.Database == "" {
		errs = append(errs, errors.New("clickhouse.database: must not be empty"))
	}
	if c.Timeout <= 0 {
		errs = append(errs, errors.New("clickhouse.timeout: must be positive"))
	}
	return errors.Join(errs...)
}
