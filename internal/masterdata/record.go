package masterdata

import (
	"context"
	"encoding/json"
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

// entry is a change on its way into the store.
type entry struct {
	change
	event plant.ID
	at    time.Time
	data  []byte // of change, as JSON
	seq   int64  // among its aggregate's events; 0: not stored
}

// entry encodes a change. What it refuses is the fault of the change.
func (w *writing) entry(ctx context.Context, event plant.ID, at time.Time, c change) (entry, error) {
	data, err := json.Marshal(c.data)
	if err != nil {
		return entry{}, fmt.Errorf("encoding %s: %w", c.event, err)
	}
	if err := w.fits(ctx, c.aggregate, data); err != nil {
		return entry{}, err
	}
	return entry{change: c, event: event, at: at, data: data}, nil
}

// record writes the event to the store, the audit row and the outbox row.
func (w *writing) record(ctx context.Context, c change) error {
	e, err := w.entry(ctx, plant.NewID(), w.now, c)
	if err != nil {
		return err
	}
	return w.recordAll(ctx, []entry{e})
}

// recordAll does record for many changes, in their order.
func (w *writing) recordAll(ctx context.Context, list []entry) error {
	if len(list) == 0 {
		return nil
	}
	if err := w.store(ctx, list); err != nil {
		return err
	}
	rows := make([]audited, len(list))
	for i, e := range list {
		rows[i] = audited{e.change.event, e.aggregate + "/" + e.id.String(), map[string]any{"event_id": e.event, "seq": e.seq}}
	}
	return w.audit(ctx, rows...)
}

// store writes events, notes the seq of each and queues them; an event that is there
// already is left alone and keeps seq 0. Writers are alone, so that what is there
// can be asked for first, and counting on from max(seq) leaves no gap and no double.
func (w *writing) store(ctx context.Context, list []entry) error {
	if len(list) == 0 {
		return nil
	}
	c := columnsOf(list)
	rows, err := w.tx.Query(ctx, `INSERT INTO events (id, type, aggregate_type, aggregate_id, seq, ts, actor, data)
		SELECT n.id, n.type, n.kind, n.aggregate, (SELECT coalesce(max(e.seq), 0) FROM events e WHERE e.aggregate_id = n.aggregate)
				+ row_number() OVER (PARTITION BY n.aggregate ORDER BY n.ord), n.ts, $7::text, n.data::jsonb
			FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::timestamptz[], $6::text[])
				WITH ORDINALITY AS n (id, type, kind, aggregate, ts, data, ord)
			WHERE NOT EXISTS (SELECT FROM events e WHERE e.id = n.id)
		RETURNING id, seq`, c.ids, c.types, c.kinds, c.aggregates, c.times, c.data, w.who.Name)
	if err != nil {
		return fmt.Errorf("storing events: %w", err)
	}
	seqs := make(map[plant.ID]int64, len(list))
	var id plant.ID
	var seq int64
	if _, err := pgx.ForEachRow(rows, []any{&id, &seq}, func() error { seqs[id] = seq; return nil }); err != nil {
		return fmt.Errorf("storing events: %w", err)
	}
	fresh := make([]entry, 0, len(list))
	for i := range list {
		if list[i].seq = seqs[list[i].event]; list[i].seq > 0 {
			fresh = append(fresh, list[i])
		}
	}
	return w.queue(ctx, fresh)
}

// columns are entries as arrays, a column each.
type columns struct {
	ids, aggregates    []plant.ID
	types, kinds, data []string
	seqs               []int64
	times              []time.Time
}

func columnsOf(list []entry) (c columns) {
	for i := range list {
		e := &list[i]
		c.ids, c.aggregates, c.times, c.seqs = append(c.ids, e.event), append(c.aggregates, e.id), append(c.times, e.at), append(c.seqs, e.seq)
		c.types, c.kinds, c.data = append(c.types, e.change.event), append(c.kinds, e.aggregate), append(c.data, string(e.data))
	}
	return c
}

// queue hands events to the relay, in their order.
func (w *writing) queue(ctx context.Context, list []entry) error {
	if len(list) == 0 {
		return nil
	}
	c := columnsOf(list)
	parent, state := traceOf(ctx)
	if _, err := w.tx.Exec(ctx, `INSERT INTO foodflow.outbox
		(tenant_id, kind, subject_kind, subject_id, version, event_id, event_type, actor, data, created_at, traceparent, tracestate)
		SELECT $1::uuid, 'event', n.kind, n.aggregate, n.seq, n.id, n.type, $8::text, n.data::jsonb, n.ts, $9::text, $10::text
			FROM unnest($2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::timestamptz[], $7::text[], $11::bigint[])
				WITH ORDINALITY AS n (id, type, kind, aggregate, ts, data, seq, ord) ORDER BY n.ord`,
		w.who.Tenant, c.ids, c.types, c.kinds, c.aggregates, c.times, c.data, w.who.Name, parent, state, c.seqs); err != nil {
		return fmt.Errorf("queueing events: %w", err)
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

// audited is what a row of the audit log says.
type audited struct {
	action, resource string
	detail           any
}

// audit appends to the chain, in the order given. The hash covers the row and the
// hash before it, and is computed by Postgres over its own text of the row, which is
// what a verifier reads again. Writers are alone, so max(seq) is the last row. The
// end of the chain is noted outside of the tenant's schema too.
func (w *writing) audit(ctx context.Context, rows ...audited) error {
	actions, resources, details := make([]string, len(rows)), make([]string, len(rows)), make([]string, len(rows))
	for i, r := range rows {
		text, err := json.Marshal(r.detail)
		if err != nil {
			return fmt.Errorf("encoding audit detail: %w", err)
		}
		actions[i], resources[i], details[i] = r.action, r.resource, string(text)
	}
	if _, err := w.tx.Exec(ctx, `WITH RECURSIVE chain AS (
			SELECT 0 AS n, coalesce(max(seq), 0) AS seq, ''::bytea AS prev,
				coalesce((SELECT hash FROM audit_log ORDER BY seq DESC LIMIT 1), ''::bytea) AS hash FROM audit_log
			UNION ALL
			SELECT n + 1, seq + 1, hash, `+auditHash("hash", "seq + 1", "$1::timestamptz", "$2::text", "($3::text[])[n + 1]", "($4::text[])[n + 1]", "($5::text[])[n + 1]::jsonb")+`
			FROM chain WHERE n < cardinality($3::text[])
		), added AS (INSERT INTO audit_log (seq, ts, actor, action, resource, detail, prev, hash)
			SELECT seq, $1::timestamptz, $2::text, ($3::text[])[n], ($4::text[])[n], ($5::text[])[n]::jsonb, prev, hash FROM chain WHERE n > 0
			RETURNING seq, hash)
		INSERT INTO foodflow.audit_heads (tenant_id, seq, hash) SELECT $6, seq, hash FROM added ORDER BY seq DESC LIMIT 1
		ON CONFLICT (tenant_id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash`,
		w.now, w.who.Name, actions, resources, details, w.who.Tenant); err != nil {
		return fmt.Errorf("writing audit rows: %w", err)
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
	return s.write(ctx, who, func(ctx context.Context, w *writing) error { return w.audit(ctx, audited{action, resource, detail}) })
}
