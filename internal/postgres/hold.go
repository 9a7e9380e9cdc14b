package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/foodflow/foodflow/internal/plant"
)

// Held is a transaction of InTenant that is left open for its holder, who ends it,
// once and soon: it keeps a connection and its locks.
type Held struct {
	conn *pgxpool.Conn
	tx   pgx.Tx
}

// Hold runs fn as InTenant does, but for the commit. What fn refuses is rolled back
// and nothing is held.
func (db *DB) Hold(ctx context.Context, tenant plant.ID, fn func(ctx context.Context, tx pgx.Tx) error) (*Held, error) {
	if tenant.IsZero() {
		return nil, errors.New("opening tenant transaction: no tenant")
	}
	return db.hold(ctx, db.pool, enter(tenant), fn)
}

func (db *DB) hold(ctx context.Context, pool *pgxpool.Pool, settings string, fn func(ctx context.Context, tx pgx.Tx) error) (*Held, error) {
	conn, err := db.connection(ctx, pool)
	if err != nil {
		return nil, err
	}
	h := &Held{conn: conn}
	keep := false
	defer func() { // also when fn panics
		if !keep {
			h.Rollback(ctx)
		}
	}()
	if h.tx, err = conn.Begin(ctx); err != nil {
		return nil, classify(err)
	}
	if _, err := h.tx.Exec(ctx, db.limits+settings); err != nil {
		return nil, classify(fmt.Errorf("entering schema: %w", err))
	}
	if err := fn(ctx, h.tx); err != nil {
		return nil, classify(err)
	}
	keep = true
	return h, nil
}

// Commit runs fn as the transaction's last part and commits. An error of the commit
// itself may mean either, as always.
func (h *Held) Commit(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	defer h.Rollback(ctx)
	if err := fn(ctx, h.tx); err != nil {
		return classify(err)
	}
	return h.commit(ctx)
}

func (h *Held) commit(ctx context.Context) error {
	defer h.Rollback(ctx)
	if err := h.tx.Commit(ctx); err != nil {
		return classify(fmt.Errorf("committing: %w", err))
	}
	return nil
}

// Rollback ends the transaction unless it has ended. A connection on which that
// fails, because ctx has ended, say, is closed with it by the pool.
func (h *Held) Rollback(ctx context.Context) {
	if h.conn == nil {
		return
	}
	if h.tx != nil {
		_ = h.tx.Rollback(ctx)
	}
	h.conn.Release()
	h.conn = nil
}
