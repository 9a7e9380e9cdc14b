package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// Encoder makes the records' values; schemas.Codec is one.
type Encoder interface {
	AppendDirectoryEntry(dst []byte, e *schemas.DirectoryEntry) ([]byte, error)
	AppendDomainEvent(dst []byte, e *schemas.DomainEvent) ([]byte, error)
}

// row is one row of the outbox.
type row struct {
	id          int64
	tenant      plant.ID
	kind        string
	subjectKind string
	subject     plant.ID
	version     int64
	event       *plant.ID
	eventType   string
	actor       string
	data        string
	created     time.Time
	traceparent string
	tracestate  string
}

// due reads the oldest rows.
func due(ctx context.Context, tx pgx.Tx, limit int) ([]row, error) {
	rows, err := tx.Query(ctx, `SELECT id, tenant_id, kind, subject_kind, subject_id, version, event_id, event_type, actor, data::text, created_at, coalesce(traceparent, ''), coalesce(tracestate, '')
		FROM outbox ORDER BY id LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("reading outbox: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(c pgx.CollectableRow) (r row, err error) {
		err = c.Scan(&r.id, &r.tenant, &r.kind, &r.subjectKind, &r.subject, &r.version, &r.event, &r.eventType, &r.actor, &r.data, &r.created, &r.traceparent, &r.tracestate)
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading outbox: %w", err)
	}
	return out, nil
}

// remove takes out what Kafka has acked, or what was set aside.
func remove(ctx context.Context, tx pgx.Tx, rows []row) error {
	ids := make([]int64, len(rows))
	for i := range rows {
		ids[i] = rows[i].id
	}
	if err := supersede(ctx, tx, ids); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "DELETE FROM outbox WHERE id = ANY($1)", ids); err != nil {
		return fmt.Errorf("clearing outbox: %w", err)
	}
	return nil
}

// record makes the Kafka record of a row.
func (r *row) record(enc Encoder) (*kgo.Record, error) {
	switch r.kind {
	case "event":
		return r.cloudEvent(enc)
	case "directory":
		e := schemas.DirectoryEntry{Kind: r.subjectKind, Tenant: r.tenant, ID: r.subject, Version: r.version, Data: r.data}
		value, err := enc.AppendDirectoryEntry(nil, &e)
		return &kgo.Record{Topic: broker.TopicDirectory, Key: e.Key(), Value: value}, err
	case "tombstone":
		e := schemas.DirectoryEntry{Kind: r.subjectKind, Tenant: r.tenant, ID: r.subject}
		return &kgo.Record{Topic: broker.TopicDirectory, Key: e.Key()}, nil
	}
	return nil, fmt.Errorf("outbox row of unknown kind %q", r.kind)
}

// cloudEvent is CloudEvents 1.0 in Kafka's binary mode: attributes as headers
// with the prefix ce_, the data as the value. The key is the aggregate, so its
// events stay in one partition and in order.
func (r *row) cloudEvent(enc Encoder) (*kgo.Record, error) {
	if r.event == nil {
		return nil, fmt.Errorf("outbox row %d is an event without an id", r.id)
	}
	e := schemas.DomainEvent{
		ID: *r.event, Type: r.eventType, Tenant: r.tenant, AggregateType: r.subjectKind, Aggregate: r.subject,
		Seq: r.version, TS: r.created.UnixMilli(), Actor: r.actor, Data: r.data,
	}
	value, err := enc.AppendDomainEvent(nil, &e)
	if err != nil {
		return nil, fmt.Errorf("encoding event: %w", err)
	}
	header := func(k, v string) kgo.RecordHeader { return kgo.RecordHeader{Key: k, Value: []byte(v)} }
	rec := &kgo.Record{
		Topic: broker.TopicEvents, Key: []byte(r.subject.String()), Value: value,
		Headers: []kgo.RecordHeader{
			header("ce_specversion", "1.0"),
			header("ce_id", r.event.String()),
			header("ce_source", "/foodflow/tenants/"+r.tenant.String()),
			header("ce_type", "com.foodflow."+r.eventType),
			header("ce_subject", r.subjectKind+"/"+r.subject.String()),
			header("ce_time", r.created.UTC().Format(time.RFC3339Nano)),
			header("ce_tenantid", r.tenant.String()),
			header("ce_sequence", fmt.Sprintf("%020d", r.version)), // the CloudEvents extension "sequence"
			header("content-type", "application/avro"),
		},
	}
	// CloudEvents' extension for distributed tracing: the trace of the change, not
	// of its carriage.
	if r.traceparent != "" {
		rec.Headers = append(rec.Headers, header("ce_traceparent", r.traceparent))
	}
	if r.tracestate != "" {
		rec.Headers = append(rec.Headers, header("ce_tracestate", r.tracestate))
	}
	return rec, nil
}
