package masterdata

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/telemetry"
)

// change is what is announced of one change of one thing.
type change struct {
	aggregate string // "line"
	id        plant.ID
	event     string // "LineCreated"
	data      any    // the thing after the change
}

// record writes the event to the store, the audit row and the outbox row.
func (w *writing) record(ctx context.Context, c change) error {
	event := plant.NewID()
	seq, err := w.store(ctx, event, w.now, c)
	if err != nil {
		return err
	}
	return w.audit(ctx, c.event, c.aggregate+"/"+c.id.String(), map[string]any{"event_id": event, "seq": seq})
}

// store writes the event and queues it; seq is 0 when the event is there
// already. Writers are alone, so max(seq) + 1 leaves no gap and no double.
func (w *writing) store(ctx context.Context, event plant.ID, at time.Time, c change) (seq int64, err error) {
	data, err := json.Marshal(c.data)
	if err != nil {
		return 0, fmt.Errorf("encoding %s: %w", c.event, err)
	}
	err = w.tx.QueryRow(ctx, `INSERT INTO events (id, type, aggregate_type, aggregate_id, seq, ts, actor, data)
		SELECT $1, $2, $3, $4, (SELECT coalesce(max(seq), 0) + 1 FROM events WHERE aggregate_id = $4), $5, $6, $7
		ON CONFLICT (id) DO NOTHING RETURNING seq`, event, c.event, c.aggregate, c.id, at, w.who.Name, data).Scan(&seq)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("storing event %s: %w", c.event, err)
	}
	return seq, w.queue(ctx, event, at, seq, c, data)
}

// queue hands an event to the relay.
func (w *writing) queue(ctx context.Context, event plant.ID, at time.Time, seq int64, c change, data []byte) error {
	if err := w.fits(ctx, c.aggregate, data); err != nil {
		return err
	}
	parent, state := traceOf(ctx)
	if _, err := w.tx.Exec(ctx, `INSERT INTO foodflow.outbox
		(tenant_id, kind, subject_kind, subject_id, version, event_id, event_type, actor, data, created_at, traceparent, tracestate)
		VALUES ($1, 'event', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		w.who.Tenant, c.aggregate, c.id, seq, event, c.event, w.who.Name, data, at, parent, state); err != nil {
		return fmt.Errorf("queueing event %s: %w", c.event, err)
	}
	return w.wake(ctx)
}

// MaxAnnounced bounds what is announced of a thing, in bytes of Postgres's text
// of its JSON, which is what goes out: with the headers of an event and the
// framing of a batch it stays below the 1 MiB that the topics take.
const MaxAnnounced = 1_000_000

// fits is the last wall behind the rules of the fields: each may be kept and all
// of them together still be more than Kafka takes, and a row that Kafka doesn't
// take is never announced. Postgres writes spaces and whole numbers into JSON, so
// only what may come near is weighed, and by Postgres.
func (w *writing) fits(ctx context.Context, what string, data []byte) error {
	if len(data) < MaxAnnounced/8 {
		return nil // 1e-300 becomes three hundred digits, but no thing holds more than two thousand numbers
	}
	var n int
	if err := w.tx.QueryRow(ctx, "SELECT octet_length($1::jsonb::text)", data).Scan(&n); err != nil {
		return fmt.Errorf("weighing %s: %w", what, err)
	}
	if n > MaxAnnounced {
		return fault.NewInvalid(fault.Item{Location: what, Rule: "size", Message: fmt.Sprintf("takes %d bytes with all its fields, at most %d fit", n, MaxAnnounced)})
	}
	return nil
}

// publish queues a thing's new state for the directory.
func (w *writing) publish(ctx context.Context, kind string, id plant.ID, version int64, thing any) error {
	data, err := json.Marshal(thing)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", kind, err)
	}
	if err := w.fits(ctx, kind, data); err != nil {
		return err
	}
	parent, state := traceOf(ctx)
	if _, err := w.tx.Exec(ctx, `INSERT INTO foodflow.outbox (tenant_id, kind, subject_kind, subject_id, version, data, traceparent, tracestate)
		VALUES ($1, 'directory', $2, $3, $4, $5, $6, $7)`, w.who.Tenant, kind, id, version, data, parent, state); err != nil {
		return fmt.Errorf("queueing directory entry: %w", err)
	}
	return nil
}

// traceOf is the trace of the request that makes a change, nil unless it is
// sampled: the relay works in it too.
func traceOf(ctx context.Context) (parent, state *string) {
	for _, h := range telemetry.Headers(ctx) {
		text := string(h.Value)
		if h.Name == telemetry.StateName {
			state = &text
		} else {
			parent = &text
		}
	}
	return parent, state
}

// retract queues a tombstone for the directory.
func (w *writing) retract(ctx context.Context, kind string, id plant.ID, version int64) error {
	if _, err := w.tx.Exec(ctx, `INSERT INTO foodflow.outbox (tenant_id, kind, subject_kind, subject_id, version)
		VALUES ($1, 'tombstone', $2, $3, $4)`, w.who.Tenant, kind, id, version); err != nil {
		return fmt.Errorf("queueing tombstone: %w", err)
	}
	return nil
}

// Channel is what the relay listens on. A notification only wakes it: the rows
// are the truth, and it looks for them in any case.
const Channel = "foodflow_outbox"

func (w *writing) wake(ctx context.Context) error {
	if _, err := w.tx.Exec(ctx, "SELECT pg_notify($1, '')", Channel); err != nil {
		return fmt.Errorf("waking the relay: %w", err)
	}
	return nil
}

// audit appends to the chain. The hash covers the row and the hash before it,
// and is computed by Postgres over its own text of the row, which is what a
// verifier reads again. Writers are alone, so max(seq) is the last row. The end
// of the chain is noted outside of the tenant's schema too.
func (w *writing) audit(ctx context.Context, action, resource string, detail any) error {
	text, err := json.Marshal(detail)
	if err != nil {
		return fmt.Errorf("encoding audit detail: %w", err)
	}
	if _, err := w.tx.Exec(ctx, `WITH added AS (INSERT INTO audit_log (seq, ts, actor, action, resource, detail, prev, hash)
		SELECT n.seq, $1::timestamptz, $2::text, $3::text, $4::text, $5::jsonb, n.prev, `+auditHash("n.prev", "n.seq", "$1::timestamptz", "$2::text", "$3::text", "$4::text", "$5::jsonb")+`
		FROM (SELECT coalesce(max(seq), 0) + 1 AS seq,
			coalesce((SELECT hash FROM audit_log ORDER BY seq DESC LIMIT 1), ''::bytea) AS prev FROM audit_log) n RETURNING seq, hash)
		INSERT INTO foodflow.audit_heads (tenant_id, seq, hash) SELECT $6, seq, hash FROM added
		ON CONFLICT (tenant_id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash`,
		w.now, w.who.Name, action, resource, text, w.who.Tenant); err != nil {
		return fmt.Errorf("writing audit row: %w", err)
	}
	return nil
}

// auditHash is the expression of a row's hash. The JSON array keeps neighbouring
// fields apart; the time is in milliseconds, which no time zone setting changes.
func auditHash(prev, seq, ts, actor, action, resource, detail string) string {
	return "sha256(" + prev + " || convert_to(jsonb_build_array(" + seq + ", floor(extract(epoch FROM " + ts + ") * 1000)::bigint, " +
		actor + ", " + action + ", " + resource + ", " + detail + ")::text, 'UTF8'))"
}

// Audit writes a row that belongs to no event, such as a log-in.
func (s *Store) Audit(ctx context.Context, who Actor, action, resource string, detail any) error {
	return s.write(ctx, who, func(ctx context.Context, w *writing) error { return w.audit(ctx, action, resource, detail) })
}
