package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/foodflow/foodflow/schemas"
)

// ErrIncompatible: the subject's compatibility level refuses the schema. It is
// final: a person must look at the schema or the subject.
var ErrIncompatible = errors.New("the registry refuses the schema as incompatible")

// The operations, as labels.
const (
	opRegister = "register"
	opSchema   = "schema"
)

// maxAnswer bounds what is read of an answer, maxSchema a schema.
const (
	maxAnswer = 4 << 20
	maxSchema = 1 << 20
)

// Client asks a schema registry and remembers what it said. It is safe for
// concurrent use; it owns no goroutine.
type Client struct {
	cfg     Config
	sr      *sr.Client
	http    *http.Client
	log     *slog.Logger
	metrics *metrics
	known   *cache
	down    outage
}

// New makes a client and reads the cache; it does not ask the registry.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	var err error
	if transport.TLSClientConfig, err = cfg.TLS.Config(); err != nil {
		return nil, fmt.Errorf("making registry client: %w", err)
	}
	hc := &http.Client{Timeout: cfg.Timeout, Transport: bounded{transport}}
	opts := []sr.ClientOpt{sr.URLs(cfg.URL), sr.HTTPClient(hc), sr.UserAgent("foodflow")}
	if cfg.User != "" {
		opts = append(opts, sr.BasicAuth(cfg.User, cfg.Password))
	}
	if cfg.Token != "" {
		opts = append(opts, sr.BearerToken(cfg.Token))
	}
	cl, err := sr.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("making registry client: %w", err)
	}
	m, err := newMetrics(reg)
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, sr: cl, http: hc, log: log, metrics: m, known: newCache(cfg.CachePath)}
	if err := c.known.load(); err != nil {
		log.Warn("schema cache is unreadable and will be filled anew", "path", cfg.CachePath, "error", err)
	}
	m.schemas.Set(float64(c.known.len()))
	return c, nil
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Register gives the id of the schema under a subject, entering it first where
// it is new. With the registry down it answers from the cache, or with
// schemas.ErrRegistry. ErrIncompatible: the subject refuses the schema.
func (c *Client) Register(ctx context.Context, subject, schema string) (int, error) {
	cached, have := c.known.id(subject, schema)
	if have && c.down.now() {
		c.metrics.cached.WithLabelValues(opRegister).Inc()
		return cached, nil
	}
	attempts := c.cfg.Attempts
	if have {
		attempts = 1 // an answer is at hand: don't wait for a better one
	}
	id, err := retry(ctx, c, opRegister, attempts, func(ctx context.Context) (int, error) {
		return c.register(ctx, subject, schema)
	})
	if err != nil {
		if have && errors.Is(err, schemas.ErrRegistry) {
			c.metrics.cached.WithLabelValues(opRegister).Inc()
			return cached, nil
		}
		return 0, fmt.Errorf("registering schema under %s: %w", subject, err)
	}
	if have && cached != id {
		c.log.Warn("registry gives a known schema another id; forgetting what the old registry said", "subject", subject, "old_id", cached, "new_id", id)
		c.known.forget()
	}
	c.known.putID(subject, schema, id)
	c.save()
	return id, nil
}

// register looks the schema up before it enters it: a client without the right
// to write gets by where all schemas are there.
func (c *Client) register(ctx context.Context, subject, schema string) (int, error) {
	s := sr.Schema{Schema: schema, Type: sr.TypeAvro}
	found, err := c.sr.LookupSchema(ctx, subject, s)
	if err == nil {
		return checkID(found.ID)
	}
	var re *sr.ResponseError
	if !errors.As(err, &re) || re.StatusCode != http.StatusNotFound {
		return 0, err
	}
	if re.ErrorCode == sr.ErrSubjectNotFound.Code {
		set := c.sr.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatBackwardTransitive}, subject)
		for _, r := range set {
			if r.Err != nil {
				return 0, fmt.Errorf("setting compatibility: %w", r.Err)
			}
		}
	}
	id, err := c.sr.RegisterSchema(ctx, subject, s, -1, -1)
	if err != nil {
		return 0, err
	}
	return checkID(id)
}

// checkID holds an id to what fits a frame.
func checkID(id int) (int, error) {
	if id < 0 || id > 1<<31-1 {
		return 0, fmt.Errorf("%w: id %d out of range", schemas.ErrRegistry, id)
	}
	return id, nil
}

// Schema gives a schema by id, from the cache where it is there.
// schemas.ErrUnknownSchema: the registry has none; schemas.ErrRegistry: it
// can't be asked.
func (c *Client) Schema(ctx context.Context, id int) (string, error) {
	if text, ok := c.known.schema(id); ok {
		c.metrics.cached.WithLabelValues(opSchema).Inc()
		return text, nil
	}
	text, err := retry(ctx, c, opSchema, c.cfg.Attempts, func(ctx context.Context) (string, error) {
		s, err := c.sr.SchemaByID(ctx, id)
		if err != nil {
			return "", err
		}
		if s.Type != sr.TypeAvro || len(s.References) > 0 || len(s.Schema) > maxSchema {
			return "", fmt.Errorf("%w: id %d is not a self-contained Avro schema of at most %d bytes", schemas.ErrUnknownSchema, id, maxSchema)
		}
		return s.Schema, nil
	})
	if err != nil {
		return "", fmt.Errorf("asking for schema %d: %w", id, err)
	}
	if c.known.putSchema(id, text) {
		c.save()
	}
	return text, nil
}

// save keeps the cache. A disk that refuses costs the memory across restarts,
// not the answer, so it is reported and not returned.
func (c *Client) save() {
	c.metrics.schemas.Set(float64(c.known.len()))
	written, err := c.known.save()
	switch {
	case err != nil:
		c.metrics.writes.WithLabelValues("failed").Inc()
		c.log.Warn("schema cache can't be written; a restart will need the registry", "path", c.cfg.CachePath, "error", err)
	case written:
		c.metrics.writes.WithLabelValues("ok").Inc()
	}
}

// bounded cuts an answer off at maxAnswer: the library reads it whole.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}
