package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/foodflow/foodflow/internal/telemetry"
)

// Client sends statements over ClickHouse's HTTP interface. It is safe for
// concurrent use.
type Client struct {
	cfg  Config
	http *http.Client
}

// NewClient makes a client; it connects on first use.
func NewClient(cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	secure, err := cfg.TLS.Config()
	if err != nil {
		return nil, fmt.Errorf("making clickhouse client: %w", err)
	}
	transport := &http.Transport{
		MaxIdleConnsPerHost: 64, MaxConnsPerHost: cfg.Conns, IdleConnTimeout: 90 * time.Second, WriteBufferSize: 256 << 10, DisableCompression: true,
		TLSClientConfig: secure,
	}
	return &Client{cfg: cfg, http: &http.Client{Timeout: cfg.Timeout, Transport: transport}}, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Database is the database the client works in.
func (c *Client) Database() string { return c.cfg.Database }

// Cluster is what the database is replicated on, "" on one server.
func (c *Client) Cluster() string { return c.cfg.Cluster }

// Exception is an error that ClickHouse answered with.
type Exception struct {
	Status int
	Code   int // ClickHouse's; 0 when the answer named none
	Text   string
}

// Error gives ClickHouse's text, cut short.
func (e *Exception) Error() string {
	return fmt.Sprintf("clickhouse answered %d: %s", e.Status, strings.TrimSpace(e.Text[:min(len(e.Text), 500)]))
}

// ErrUnfit is a ClickHouse that answers but lacks what exactly-once rests on.
// Waiting mends nothing: a person must act.
var ErrUnfit = errors.New("this ClickHouse is unfit for exactly-once")

// IsTransient says whether the same statement may succeed later: the server
// could not be reached, its answer was lost, or it is short of something that
// comes back. Everything else is a fault of the statement.
func IsTransient(err error) bool {
	var e *Exception
	if errors.Is(err, ErrUnfit) {
		return false
	}
	if !errors.As(err, &e) {
		return err != nil && !errors.Is(err, context.Canceled)
	}
	switch e.Code {
	case 159, 160, // TIMEOUT_EXCEEDED, TOO_SLOW
		164, 242, // READONLY, TABLE_IS_READ_ONLY
		202, 252, 241, 243, // TOO_MANY_SIMULTANEOUS_QUERIES, TOO_MANY_PARTS, MEMORY_LIMIT_EXCEEDED, NOT_ENOUGH_SPACE
		203, 209, 210, 279, // NO_FREE_CONNECTION, SOCKET_TIMEOUT, NETWORK_ERROR, ALL_CONNECTION_TRIES_FAILED
		225, 999, 285, 319, // NO_ZOOKEEPER, KEEPER_EXCEPTION, TOO_FEW_LIVE_REPLICAS, UNKNOWN_STATUS_OF_INSERT
		173, 198, 201, // CANNOT_ALLOCATE_MEMORY, DNS_ERROR, QUOTA_EXCEEDED
		286, 439, 473, 745, // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE, CANNOT_SCHEDULE_TASK, DEADLOCK_AVOIDED, SERVER_OVERLOADED
		394, 236: // QUERY_WAS_CANCELLED, ABORTED
		return true
	}
	return e.Code == 0 && e.Status >= http.StatusInternalServerError || e.Status == http.StatusServiceUnavailable
}

// Exec runs a statement in the client's database and returns its output.
func (c *Client) Exec(ctx context.Context, statement string, settings url.Values) (string, error) {
	return c.Send(ctx, statement, settings, nil, 0)
}

// ExecAnywhere runs a statement without naming a database.
func (c *Client) ExecAnywhere(ctx context.Context, statement string) (string, error) {
	return c.send(ctx, url.Values{"query": {statement}}, nil, 0)
}

// Send runs a statement whose data is in body, size bytes long.
func (c *Client) Send(ctx context.Context, statement string, settings url.Values, body io.Reader, size int64) (string, error) {
	q := url.Values{"database": {c.cfg.Database}, "query": {statement}}
	for k, v := range settings {
		q[k] = v
	}
	return c.send(ctx, q, body, size)
}

func (c *Client) send(ctx context.Context, q url.Values, body io.Reader, size int64) (string, error) {
	encoding := ""
	if body != nil && c.cfg.Compression != "" && c.cfg.Compression != "none" {
		packed := compress(body, c.cfg.Compression)
		defer packed.Close() // ends its goroutine if the request ended early
		body, size, encoding = packed, -1, c.cfg.Compression
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(c.cfg.URL, "/")+"/?"+q.Encode(), body)
	if err != nil {
		return "", fmt.Errorf("making request: %w", err)
	}
	req.ContentLength = size
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	req.Header.Set("X-ClickHouse-User", c.cfg.User)
	if c.cfg.Password != "" {
		req.Header.Set("X-ClickHouse-Key", c.cfg.Password)
	}
	for _, h := range telemetry.Headers(ctx) {
		req.Header.Set(h.Name, string(h.Value))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return "", fmt.Errorf("asking clickhouse: %w", err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", fmt.Errorf("reading clickhouse's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		code, _ := strconv.Atoi(resp.Header.Get("X-ClickHouse-Exception-Code")) // 0 when absent
		return "", &Exception{Status: resp.StatusCode, Code: code, Text: string(out)}
	}
	return string(out), nil
}
