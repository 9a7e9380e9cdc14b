package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/telemetry"
)

// Config bounds the relay.
type Config struct {
	// Batch is how many rows go out in one transaction.
	Batch int
	// Interval is how often the outbox is looked at without a notification.
	Interval time.Duration
	// Publish bounds the wait for Kafka's acks of one batch.
	Publish time.Duration
	// Tracer continues the traces of the changes; nil: no traces.
	Tracer *telemetry.Tracer
}

// DefaultConfig keeps a change within a second even without notifications.
func DefaultConfig() Config {
	return Config{Batch: 500, Interval: 250 * time.Millisecond, Publish: 10 * time.Second}
}

// Validate names every fault at once.
func (c Config) Validate() error {
	var errs []error
	if c.Batch < 1 || c.Batch > 10_000 {
		errs = append(errs, errors.New("outbox.batch: must be between 1 and 10000"))
	}
	if c.Interval <= 0 {
		errs = append(errs, errors.New("outbox.interval: must be positive"))
	}
	if c.Publish <= 0 || c.Publish > 50*time.Second {
		// idle_in_transaction_session_timeout ends the transaction after 60 s.
		errs = append(errs, errors.New("outbox.publish: must be positive and at most 50s"))
	}
	return errors.Join(errs...)
}

// Producer sends records and waits for their acks; *kgo.Client is one.
type Producer interface {
	ProduceSync(ctx context.Context, rs ...*kgo.Record) kgo.ProduceResults
}

// Relay is the carrier. Any number may run; one works.
type Relay struct {
	cfg  Config
	db   *postgres.DB
	out  Producer
	enc  Encoder
	log  *slog.Logger
	m    *metrics
	wake chan struct{} // one pending wake-up; sent by listen, never closed
}

// New makes a relay; it starts nothing.
func New(cfg Config, db *postgres.DB, out Producer, enc Encoder, reg prometheus.Registerer, log *slog.Logger) (*Relay, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Relay{cfg: cfg, db: db, out: out, enc: enc, log: log, m: newMetrics(reg), wake: make(chan struct{}, 1)}, nil
}

// Run carries until the context ends; it returns nil then. Call it once.
func (r *Relay) Run(ctx context.Context) error {
	done := make(chan struct{}) // closed when listen has returned
	go func() {
		defer close(done)
		r.listen(ctx)
	}()
	defer func() { <-done }()
	tick := time.NewTicker(r.cfg.Interval)
	defer tick.Stop()
	for ctx.Err() == nil {
		n, err := r.Carry(ctx)
		if err != nil && ctx.Err() == nil {
			r.m.failures.Inc()
			r.log.WarnContext(ctx, "outbox not carried", "error", err)
		}
		if err == nil && n == r.cfg.Batch {
			continue // there is more
		}
		select {
		case <-ctx.Done():
		case <-r.wake:
		case <-tick.C:
		}
	}
	return nil
}

// Carry sends one batch and gives how many rows it was; 0 when there was
// nothing, or another relay works.
func (r *Relay) Carry(ctx context.Context) (n int, err error) {
	var refused []refusal
	err = r.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var leads bool
		if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock(hashtextextended('foodflow/outbox', 7))").Scan(&leads); err != nil {
			return fmt.Errorf("taking the relay's lock: %w", err)
		}
		r.m.lead(leads)
		if !leads {
			return nil
		}
		rows, err := due(ctx, tx, r.cfg.Batch)
		if err != nil {
			return err
		}
		r.m.depth(rows)
		if len(rows) == 0 {
			return nil
		}
		if refused, err = r.publish(ctx, rows); err != nil {
			return err
		}
		if err := fault.Point("outbox-after-ack"); err != nil {
			return err
		}
		n = len(rows)
		if err := setAside(ctx, tx, refused); err != nil {
			return err
		}
		return remove(ctx, tx, rows)
	})
	if err != nil {
		return 0, err
	}
	r.m.carried(n - len(refused))
	r.complain(ctx, refused)
	return n, nil
}

// publish sends rows and waits for every ack. It gives the rows that are refused
// for what they are; any other failure is an error, and all rows come again.
func (r *Relay) publish(ctx context.Context, rows []row) (refused []refusal, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Publish)
	defer cancel()
	records, of := make([]*kgo.Record, 0, len(rows)), make(map[*kgo.Record]*row, len(rows))
	for i := range rows {
		rec, err := rows[i].record(r.enc)
		if err != nil {
			refused = append(refused, refusal{&rows[i], err})
			continue
		}
		records, of[rec] = append(records, rec), &rows[i]
	}
	start := time.Now()
	ctx, span := r.cfg.Tracer.Batch(ctx, "relay outbox", start, links(rows))
	defer func() { span.End(err) }()
	for _, x := range r.out.ProduceSync(ctx, records...) {
		err := x.Err
		if own(err) {
			// A whole batch is refused for one record in it, so each is asked about
			// alone.
			err = r.out.ProduceSync(ctx, x.Record).FirstErr()
		}
		if own(err) {
			refused = append(refused, refusal{of[x.Record], err})
		} else if err != nil {
			return nil, fmt.Errorf("publishing outbox rows: %w", err)
		}
	}
	r.m.publish.Observe(time.Since(start).Seconds())
	return refused, nil
}

// links are the traced requests that made the rows.
func links(rows []row) *telemetry.Links {
	l := new(telemetry.Links)
	for i := range rows {
		if r := &rows[i]; r.traceparent != "" {
			l.Note([]byte(r.traceparent), []byte(r.tracestate))
		}
	}
	return l
}

// listen turns notifications into wake-ups. It needs a session of its own; where
// it gets none, the interval does.
func (r *Relay) listen(ctx context.Context) {
	for ctx.Err() == nil {
		if err := r.listenOnce(ctx); err != nil && ctx.Err() == nil {
			r.log.DebugContext(ctx, "outbox notifications interrupted", "error", err)
			t := time.NewTimer(time.Second)
			select {
			case <-ctx.Done():
			case <-t.C:
			}
			t.Stop()
		}
	}
}

func (r *Relay) listenOnce(ctx context.Context) error {
	c, err := r.db.Session(ctx)
	if err != nil {
		return fmt.Errorf("connecting to listen: %w", err)
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	if _, err := c.Exec(ctx, "LISTEN "+masterdata.Channel); err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	for {
		if _, err := c.WaitForNotification(ctx); err != nil {
			return fmt.Errorf("waiting for a notification: %w", err)
		}
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}
