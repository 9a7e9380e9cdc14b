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
)

// Event is one row of the event store.
type Event struct {
	ID            plant.ID        `json:"id" format:"uuid"`
	Type          string          `json:"type" example:"BatchStarted"`
	AggregateType string          `json:"aggregate_type" example:"batch"`
	AggregateID   plant.ID        `json:"aggregate_id" format:"uuid"`
	Seq           int64           `json:"seq" doc:"counts the aggregate's events from 1, without a gap"`
	TS            time.Time       `json:"ts"`
	Actor         string          `json:"actor" example:"user:01937b5e-8a0c-7c3e-9a53-1f0c2b7d4e60"`
	Data          json.RawMessage `json:"data" doc:"the aggregate after the event"`
}

// EventFilter narrows a list of events; zero fields are no condition. Pages go
// from new to old and continue behind (BeforeTS, BeforeID).
type EventFilter struct {
	Type          string
	AggregateType string
	Aggregate     plant.ID
	Without       []string  // events of these kinds of things are left out
	From, To      time.Time // [From, To)
	BeforeTS      time.Time
	BeforeID      plant.ID
	Limit         int
}

// Events reads a page of the event store.
func (s *Store) Events(ctx context.Context, tenant plant.ID, f EventFilter) (events []*Event, more bool, err error) {
	f.Limit = min(max(f.Limit, 1), MaxPage)
	var c conditions
	if f.Type != "" {
		c.add("type = %s", f.Type)
	}
	if f.AggregateType != "" {
		c.add("aggregate_type = %s", f.AggregateType)
	}
	if !f.Aggregate.IsZero() {
		c.add("aggregate_id = %s", f.Aggregate)
	}
	if len(f.Without) > 0 {
		c.add("aggregate_type <> ALL (%s)", f.Without)
	}
	c.span("ts", f.From, f.To)
	if !f.BeforeTS.IsZero() {
		c.add("(ts, id) < (%s, %s)", f.BeforeTS, f.BeforeID)
	}
	const columns = "SELECT id, type, aggregate_type, aggregate_id, seq, ts, actor, data FROM events"
	err = s.read(ctx, tenant, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, fmt.Sprintf("%s%s ORDER BY ts DESC, id DESC LIMIT %d", columns, c.where(), f.Limit+1), c.args...)
		if err != nil {
			return fmt.Errorf("listing events: %w", err)
		}
		events, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*Event, error) {
			e := new(Event)
			err := row.Scan(&e.ID, &e.Type, &e.AggregateType, &e.AggregateID, &e.Seq, &e.TS, &e.Actor, &e.Data)
			e.TS = e.TS.UTC()
			return e, err
		})
		return err
	})
	events, more = cutPage(events, f.Limit)
	return events, more, err
}

// Fact is something that happened in the plant and is raised from the stream:
// LineDowntime, ScrapDetected, AnomalyDetected. ID is derived from the source, so
// that a replay raises it once.
type Fact struct {
	ID            plant.ID
	Type          string
	AggregateType string
	Aggregate     plant.ID
	TS            time.Time
	Data          any
}

// Raise stores a fact and queues it; a fact whose id is there already changes
// nothing.
func (s *Store) Raise(ctx context.Context, tenant plant.ID, f Fact) (fresh bool, err error) {
	names, refused, err := s.RaiseAll(ctx, tenant, []Fact{f})
	return len(names) > 0, errors.Join(append(refused, err)...)
}

// RaiseAll does Raise for many facts in one transaction, and gives the types of
// those that were news, and why some were refused for what they say, which keeps
// none of the others back. An error that is Refused is the fault of one of them, and
// nothing was stored.
func (s *Store) RaiseAll(ctx context.Context, tenant plant.ID, facts []Fact) (names []string, refused []error, err error) {
	err = s.write(ctx, System(tenant), func(ctx context.Context, w *writing) error {
		var list []entry
		seen := map[plant.ID]bool{}
		for _, f := range facts {
			if f.ID.IsZero() || f.Type == "" {
				return fault.New(fault.Internal, "raising a fact without id or type")
			}
			if seen[f.ID] {
				continue
			}
			seen[f.ID] = true
			e, err := w.entry(ctx, f.ID, f.TS, change{f.AggregateType, f.Aggregate, f.Type, f.Data})
			switch {
			case err == nil:
				list = append(list, e)
			case refusedAlone(err):
				refused = append(refused, fmt.Errorf("raising %s %s: %w", f.Type, f.ID, err))
			default:
				return err
			}
		}
		if err := w.store(ctx, list); err != nil {
			return err
		}
		for _, e := range list {
			if e.seq > 0 {
				names = append(names, e.change.event)
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return names, refused, nil
}

// AuditRow is one row of the audit log.
type AuditRow struct {
	Seq      int64           `json:"seq"`
	TS       time.Time       `json:"ts"`
	Actor    string          `json:"actor" example:"user:01937b5e-8a0c-7c3e-9a53-1f0c2b7d4e60"`
	Action   string          `json:"action" example:"SensorUpdated"`
	Resource string          `json:"resource" example:"sensor/01937b5e-8a0c-7c3e-9a53-1f0c2b7d4e60"`
	Detail   json.RawMessage `json:"detail"`
}

// AuditLog reads a page of the audit log, newest first, of rows before a seq; 0
// begins at the end.
func (s *Store) AuditLog(ctx context.Context, tenant plant.ID, before int64, limit int) (rows []*AuditRow, more bool, err error) {
	limit = min(max(limit, 1), MaxPage)
	err = s.read(ctx, tenant, func(ctx context.Context, tx pgx.Tx) error {
		r, err := tx.Query(ctx, `SELECT seq, ts, actor, action, resource, detail FROM audit_log
			WHERE $1::bigint = 0 OR seq < $1 ORDER BY seq DESC LIMIT $2`, before, limit+1)
		if err != nil {
			return fmt.Errorf("listing audit rows: %w", err)
		}
		rows, err = pgx.CollectRows(r, func(row pgx.CollectableRow) (*AuditRow, error) {
			x := new(AuditRow)
			err := row.Scan(&x.Seq, &x.TS, &x.Actor, &x.Action, &x.Resource, &x.Detail)
			x.TS = x.TS.UTC()
			return x, err
		})
		return err
	})
	if more = len(rows) > limit; more {
		rows = rows[:limit]
	}
	return rows, more, err
}

// VerifyAudit walks the chain and names the first row that doesn't fit, 0 when
// all do. Where rows are missing at the end, that is the first missing one.
func (s *Store) VerifyAudit(ctx context.Context, tenant plant.ID) (rows, broken int64, err error) {
	err = s.read(ctx, tenant, func(ctx context.Context, tx pgx.Tx) error {
		var ends bool
		err := tx.QueryRow(ctx, `SELECT count(*), coalesce(min(seq) FILTER (WHERE NOT fits), 0),
				coalesce((SELECT coalesce((h.seq, h.hash) = (SELECT l.seq, l.hash FROM audit_log l ORDER BY l.seq DESC LIMIT 1), false)
					FROM foodflow.audit_heads h WHERE h.tenant_id = $1), count(*) = 0)
			FROM (
			SELECT seq, hash = `+auditHash("prev", "seq", "ts", "actor", "action", "resource", "detail")+`
				AND prev = coalesce(lag(hash) OVER w, ''::bytea) AND seq = coalesce(lag(seq) OVER w, 0) + 1 AS fits
			FROM audit_log WINDOW w AS (ORDER BY seq)) c`, tenant).Scan(&rows, &broken, &ends)
		if err != nil {
			return fmt.Errorf("verifying audit chain: %w", err)
		}
		if broken == 0 && !ends {
			broken = rows + 1
		}
		return nil
	})
	return rows, broken, err
}
