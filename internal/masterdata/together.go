package masterdata

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
)

// Together is a request with an Idempotency-Key whose write and answer are one
// transaction: whatever ends the process, either both are there or neither is. It
// is used by one goroutine, for one write.
type Together struct {
	s    *Store
	once Once
	used bool
	held *postgres.Held // nil: nothing waits for its commit
}

type togetherKey struct{}

// Together has the next write under the context wait for its answer: Commit stores
// both, Cancel neither. The slot was taken by Begin.
func (s *Store) Together(ctx context.Context, o Once) (context.Context, *Together) {
	x := &Together{s: s, once: o}
	return context.WithValue(ctx, togetherKey{}, x), x
}

var errSecondWrite = errors.New("writing a second time for one idempotency key")

func (x *Together) write(ctx context.Context, tenant plant.ID, within func(ctx context.Context, tx pgx.Tx) error) (err error) {
	if x.used || tenant != x.once.Tenant {
		return errSecondWrite // of a route that mustn't be declared so
	}
	x.used = true
	x.held, err = x.s.db.Hold(ctx, tenant, within)
	return err
}

// Written says whether a write waits for its answer.
func (x *Together) Written() bool { return x.held != nil }

// Commit stores the answer with what was written. Conflict: the request took so
// long that a repetition of it was let in and was faster, and nothing is written.
func (x *Together) Commit(ctx context.Context, a Answer) error {
	defer x.s.writes.note(x.once.Tenant)
	held := x.held
	x.held = nil
	err := held.Commit(ctx, func(ctx context.Context, tx pgx.Tx) error {
		kept, err := x.once.keep(ctx, tx, a)
		if err == nil && !kept {
			return &fault.Error{Kind: fault.Conflict, Detail: "a repetition with this Idempotency-Key was faster", RetryAfter: time.Second}
		}
		return err
	})
	if err == nil {
		x.s.db.Settle(ctx)
	}
	return err
}

// Cancel undoes what waits for its answer. Safe at any time.
func (x *Together) Cancel(ctx context.Context) {
	if x.held != nil {
		x.held.Rollback(ctx)
		x.held = nil
	}
}
