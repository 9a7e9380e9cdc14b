package masterdata

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// Once names a request that is to take effect once.
type Once struct {
	Tenant  plant.ID
	Scope   string // who, and which route
	Key     string // the client's
	Request []byte // hash of what was asked
}

// Answer is what the request was answered with; Status 0: it is to be forgotten.
type Answer struct {
	Status  int
	Headers map[string]string
	Body    []byte
}

const (
	// answersKept is how long a repetition finds the first answer.
	answersKept = 24 * time.Hour
	// stuckAfter frees the slot of a request whose process died.
	stuckAfter = 2 * time.Minute
)

// Begin takes the slot of a request, or gives the answer of the first one. It
// refuses while the first is running, and when the key comes with something
// else.
func (s *Store) Begin(ctx context.Context, o Once) (first *Answer, err error) {
	now := s.stamp()
	err = s.db.InTenant(ctx, o.Tenant, func(ctx context.Context, tx pgx.Tx) error {
		first = nil
		if _, err := tx.Exec(ctx, "DELETE FROM idempotency WHERE created_at < $1 OR (scope = $2 AND key = $3 AND status IS NULL AND created_at < $4)",
			now.Add(-answersKept), o.Scope, o.Key, now.Add(-stuckAfter)); err != nil {
			return fmt.Errorf("clearing old answers: %w", err)
		}
		tag, err := tx.Exec(ctx, "INSERT INTO idempotency (scope, key, request_hash, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING", o.Scope, o.Key, o.Request, now)
		if err != nil {
			return fmt.Errorf("taking idempotency key: %w", err)
		}
		if tag.RowsAffected() == 1 {
			return nil
		}
		var hash, headers, body []byte
		var status *int
		err = tx.QueryRow(ctx, "SELECT request_hash, status, headers, body FROM idempotency WHERE scope = $1 AND key = $2", o.Scope, o.Key).Scan(&hash, &status, &headers, &body)
		switch {
		case errors.Is(err, pgx.ErrNoRows), err == nil && status == nil:
			return &fault.Error{Kind: fault.Conflict, Detail: "the first request with this Idempotency-Key is still running", RetryAfter: time.Second}
		case err != nil:
			return fmt.Errorf("reading first answer: %w", err)
		case !bytes.Equal(hash, o.Request):
			return fault.NewInvalid(fault.Item{Location: "Idempotency-Key", Rule: "reused", Message: "came before with another request"})
		}
		first = &Answer{Status: *status, Body: body}
		if err := json.Unmarshal(headers, &first.Headers); err != nil {
			return fmt.Errorf("reading first answer: %w", err)
		}
		return nil
	})
	return first, err
}

// End stores the answer, or frees the slot, of a request that wrote nothing together
// with its answer. A slot that has its answer keeps it: whether a commit came
// through is not always known to who asked for it.
func (s *Store) End(ctx context.Context, o Once, a Answer) error {
	return s.db.InTenant(ctx, o.Tenant, func(ctx context.Context, tx pgx.Tx) error {
		if a.Status == 0 {
			if _, err := tx.Exec(ctx, "DELETE FROM idempotency WHERE scope = $1 AND key = $2 AND status IS NULL", o.Scope, o.Key); err != nil {
				return fmt.Errorf("freeing idempotency key: %w", err)
			}
			return nil
		}
		_, err := o.keep(ctx, tx, a)
		return err
	})
}

// keep stores the answer in the slot, once.
func (o Once) keep(ctx context.Context, tx pgx.Tx, a Answer) (kept bool, err error) {
	headers, err := json.Marshal(a.Headers)
	if err != nil {
		return false, fmt.Errorf("encoding headers: %w", err)
	}
	tag, err := tx.Exec(ctx, "UPDATE idempotency SET status = $3, headers = $4, body = $5 WHERE scope = $1 AND key = $2 AND request_hash = $6 AND status IS NULL",
		o.Scope, o.Key, a.Status, headers, a.Body, o.Request)
	if err != nil {
		return false, fmt.Errorf("storing answer: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

// Ping asks Postgres for an answer.
func (s *Store) Ping(ctx context.Context) error { return s.db.Ping(ctx) }
