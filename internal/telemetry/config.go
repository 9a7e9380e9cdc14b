package telemetry

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Config says where traces and errors go. The zero value keeps both off.
type Config struct {
	// Endpoint is the collector's address for OTLP over HTTP; without a path,
	// /v1/traces.
	Endpoint string
	// Headers are sent to the collector: name=value, by commas.
	Headers string
	// Sample is the part of requests that are traced.
	Sample float64
	// DSN is Sentry's, and Environment what it files errors under.
	DSN         string
	Environment string
	// Service and Version name the process.
	Service string
	Version string
}

// DefaultConfig has both off.
func DefaultConfig() Config { return Config{Sample: 0.01, Environment: "production"} }

// Validate names every fault at once.
func (c Config) Validate() error {
	var errs []error
	if u, err := url.Parse(c.Endpoint); c.Endpoint != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		errs = append(errs, errors.New("otel.endpoint: is not http(s)://host:port"))
	}
	if _, err := headers(c.Headers); err != nil {
		errs = append(errs, err)
	}
	if c.Sample < 0 || c.Sample > 1 {
		errs = append(errs, errors.New("otel.sample: must be between 0 and 1"))
	}
	if u, err := url.Parse(c.DSN); c.DSN != "" && (err != nil || u.User.Username() == "" || u.Host == "" || strings.Trim(u.Path, "/") == "") {
		errs = append(errs, errors.New("sentry.dsn: is not a DSN"))
	}
	return errors.Join(errs...)
}

// endpoint is the address with its path.
func (c Config) endpoint() string {
	u, err := url.Parse(c.Endpoint)
	if err != nil || strings.Trim(u.Path, "/") != "" {
		return c.Endpoint
	}
	u.Path = "/v1/traces"
	return u.String()
}

func headers(text string) (map[string]string, error) {
	out := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		if !ok || strings.TrimSpace(name) == "" {
			return nil, fmt.Errorf("otel.headers: must be name=value, by commas")
		}
		out[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return out, nil
}
