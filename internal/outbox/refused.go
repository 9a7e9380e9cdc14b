package outbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/foodflow/foodflow/internal/doctor"
	"github.com/foodflow/foodflow/internal/postgres"
)

// refusal is a row that will be refused however often it is sent.
type refusal struct {
	row *row
	err error
}

// own says whether an error is the record's own fault. Everything else passes or
// is the installation's: then the rows wait, and nothing is set aside.
func own(err error) bool {
	return errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.RecordListTooLarge) || errors.Is(err, kerr.InvalidRecord)
}

// setAside keeps refused rows whole; remove then takes them out of the outbox.
func setAside(ctx context.Context, tx pgx.Tx, refused []refusal) error {
	for _, x := range refused {
		if _, err := tx.Exec(ctx, `INSERT INTO outbox_refused (id, tenant_id, kind, subject_kind, subject_id, version, reason, line)
			SELECT id, tenant_id, kind, subject_kind, subject_id, version, $2, to_jsonb(o) FROM outbox o WHERE id = $1`, x.row.id, x.err.Error()); err != nil {
			return fmt.Errorf("setting aside outbox row %d: %w", x.row.id, err)
		}
	}
	return nil
}

// complain tells of rows that were set aside, once that has been committed.
func (r *Relay) complain(ctx context.Context, refused []refusal) {
	for _, x := range refused {
		r.m.refused.Inc()
		r.log.ErrorContext(ctx, "outbox row refused and set aside", "row", x.row.id, "tenant", x.row.tenant, "kind", x.row.kind,
			"subject_kind", x.row.subjectKind, "subject", x.row.subject, "version", x.row.version, "error", x.err)
	}
}

// supersede forgets entries of the directory that were set aside and of whose
// things newer ones go out now: put back, they would stand behind those on a
// compacted topic, and outlive them.
func supersede(ctx context.Context, tx pgx.Tx, ids []int64) error {
	if _, err := tx.Exec(ctx, `DELETE FROM outbox_refused f USING outbox o WHERE o.id = ANY($1)
		AND f.kind IN ('directory', 'tombstone') AND o.kind IN ('directory', 'tombstone') AND f.id < o.id
		AND f.tenant_id = o.tenant_id AND f.subject_kind = o.subject_kind AND f.subject_id = o.subject_id`, ids); err != nil {
		return fmt.Errorf("forgetting what is superseded: %w", err)
	}
	return nil
}

// Checkup lists the rows that were set aside.
func Checkup(c postgres.Config) doctor.Check {
	return doctor.Check{Name: "outbox.refused", Run: func(ctx context.Context) []doctor.Finding {
		c.Replica, c.MaxConns = "", 1
		texts, err := refusals(ctx, c)
		if err != nil {
			return doctor.Unreachable(errors.New(doctor.Redacted(err)), "see that Postgres runs and that foodflow migrate has run")
		}
		var found []doctor.Finding
		for _, t := range texts {
			found = append(found, doctor.Finding{
				Severity: doctor.Error, What: t, Means: "readers of Kafka don't know this change",
				Mend: "let the topic take it (max.message.bytes), then SELECT foodflow.outbox_retry()",
			})
		}
		if found == nil {
			return doctor.Fine("Kafka has refused no change")
		}
		return found
	}}
}

// listed bounds how many rows the doctor names.
const listed = 10

func refusals(ctx context.Context, c postgres.Config) (texts []string, err error) {
	db, err := postgres.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	err = db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT format('%s of %s %s, version %s, tenant %s, at %s: %s', kind, subject_kind, subject_id, version, tenant_id, refused_at::timestamptz(0), reason)
			FROM outbox_refused ORDER BY id LIMIT $1`, listed)
		if err == nil {
			texts, err = pgx.CollectRows(rows, pgx.RowTo[string])
		}
		if err != nil {
			return fmt.Errorf("listing refused rows: %w", err)
		}
		return nil
	})
	return texts, err
}
