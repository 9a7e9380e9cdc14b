package feed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Config says where to send.
type Config struct {
	URL    string // of ingest, http://host:port
	APIKey string
	// Timeout bounds one attempt.
	Timeout time.Duration
	// FirstPause and LastPause bound the pause between attempts.
	FirstPause time.Duration
	LastPause  time.Duration
}

// DefaultConfig pauses from a tenth of a second to five.
func DefaultConfig() Config {
	return Config{Timeout: 30 * time.Second, FirstPause: 100 * time.Millisecond, LastPause: 5 * time.Second}
}

// Validate names every fault at once.
func (c Config) Validate() error {
	var errs []error
	if u, err := url.Parse(c.URL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		errs = append(errs, fmt.Errorf("ingest.url: %q is not http(s)://host:port", c.URL))
	}
	if c.APIKey == "" {
		errs = append(errs, errors.New("ingest.api_key: must not be empty"))
	}
	if c.Timeout <= 0 || c.FirstPause <= 0 || c.LastPause < c.FirstPause {
		errs = append(errs, errors.New("ingest: timeout and pauses must be positive, the last pause not below the first"))
	}
	return errors.Join(errs...)
}

// Client sends. It is safe for concurrent use.
type Client struct {
	cfg    Config
	http   *http.Client
	logger *slog.Logger
}

// New makes a client; it connects on first use.
func New(cfg Config, logger *slog.Logger) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Client{cfg: cfg, logger: logger, http: &http.Client{
		Timeout:   cfg.Timeout,
		Transport: &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: 90 * time.Second},
	}}, nil
}

// Close gives up idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Refused is an answer that sending again can't change.
type Refused struct {
	Status int
	Detail string
}

// Error gives the server's words.
func (e *Refused) Error() string {
	return fmt.Sprintf("ingest refuses with %d: %s", e.Status, e.Detail)
}

// Readings sends readings and returns once they are acknowledged.
func (c *Client) Readings(ctx context.Context, readings []Reading) error {
	return c.deliver(ctx, "/v1/readings", AppendReadings(nil, readings))
}

// Events sends line events and returns once they are acknowledged.
func (c *Client) Events(ctx context.Context, events []Event) error {
	return c.deliver(ctx, "/v1/line-events", AppendEvents(nil, events))
}

func (c *Client) deliver(ctx context.Context, path string, body []byte) error {
	return c.cfg.insist(ctx, c.logger, func() (time.Duration, error) { return c.attempt(ctx, path, body) })
}

// insist tries until it is done, refused for good, or over. A try may say how
// long the server asks to wait.
func (c Config) insist(ctx context.Context, logger *slog.Logger, try func() (after time.Duration, err error)) error {
	pause := c.FirstPause
	for attempt := 1; ; attempt++ {
		after, err := try()
		if err == nil {
			return nil
		}
		var refused *Refused
		if errors.As(err, &refused) {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("sending to ingest: %w", ctx.Err())
		}
		if attempt == 3 { // one is nothing, three are a state
			logger.Warn("ingest does not answer; sending again until it does", "error", err)
		}
		// Jitter keeps a plant's gateways from coming back all at once.
		wait := max(after, pause/2+rand.N(pause/2))
		select {
		case <-ctx.Done():
			return fmt.Errorf("sending to ingest: %w", ctx.Err())
		case <-time.After(wait):
		}
		pause = min(2*pause, c.LastPause)
	}
}

// attempt sends once. after is how long the server asks to wait.
func (c *Client) attempt(ctx context.Context, path string, body []byte) (after time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.URL+path, bytes.NewReader(body))
	if err != nil {
		return 0, &Refused{Detail: err.Error()}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-API-Key", c.cfg.APIKey)
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, fmt.Errorf("asking ingest: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	switch {
	case resp.StatusCode == http.StatusAccepted:
		// The status alone is the acknowledgement; a body cut short is no loss.
		return 0, nil
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= http.StatusInternalServerError:
		if s, bad := strconv.Atoi(resp.Header.Get("Retry-After")); bad == nil && s > 0 {
			after = min(time.Duration(s)*time.Second, time.Minute)
		}
		return after, fmt.Errorf("ingest answers %d: %s", resp.StatusCode, bytes.TrimSpace(text))
	case err != nil:
		return 0, fmt.Errorf("reading ingest's answer: %w", err)
	}
	return 0, &Refused{Status: resp.StatusCode, Detail: string(bytes.TrimSpace(text[:min(len(text), 2000)]))}
}
