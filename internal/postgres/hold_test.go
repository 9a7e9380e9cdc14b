package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/testkit"
)

// TestHeldTransaction: what is held is stored by Commit with its last part and by
// nothing else, and, whatever ends it, the one connection there is serves the next.
func TestHeldTransaction(t *testing.T) {
	cfg := postgres.DefaultConfig()
	cfg.URL = testkit.Postgres(t)
	cfg.MaxConns = 1
	db, tenants := twoTenants(t, cfg)
	id := tenants[0]
	put := func(key string) func(context.Context, pgx.Tx) error {
		return func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO stop_reasons (id, key, name) VALUES ($1, $2, 'n')", plant.NewID(), key)
			return err
		}
	}
	refused := errors.New("refused")
	refuse := func(context.Context, pgx.Tx) error { return refused }
	hold := func(ctx context.Context, key string) *postgres.Held {
		t.Helper()
		h, err := db.Hold(ctx, id, put(key))
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	for name, c := range map[string]struct {
		do   func() error
		want int
		err  error
	}{
		"committed": {func() error { return hold(t.Context(), "a").Commit(t.Context(), put("b")) }, 2, nil},
		"rolled back": {func() error {
			h := hold(t.Context(), "a")
			h.Rollback(t.Context())
			h.Rollback(t.Context())
			return nil
		}, 0, nil},
		"refused at once": {func() error {
			h, err := db.Hold(t.Context(), id, refuse)
			if h != nil {
				t.Error("held")
			}
			return err
		}, 0, refused},
		"refused at last": {func() error { return hold(t.Context(), "a").Commit(t.Context(), refuse) }, 0, refused},
		"left": {func() error {
			ctx, cancel := context.WithCancel(t.Context())
			h := hold(ctx, "a")
			cancel()
			return h.Commit(ctx, put("b"))
		}, 0, context.Canceled},
		"panics": {func() error {
			defer func() { _ = recover() }()
			_, err := db.Hold(t.Context(), id, func(context.Context, pgx.Tx) error { panic("on purpose") })
			return err
		}, 0, nil},
	} {
		if err := c.do(); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
		var got int
		if err := db.InTenant(t.Context(), id, func(ctx context.Context, tx pgx.Tx) error {
			if err := tx.QueryRow(ctx, "SELECT count(*) FROM stop_reasons").Scan(&got); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "DELETE FROM stop_reasons")
			return err
		}); err != nil || got != c.want {
			t.Errorf("%s: %d rows, want %d: %v", name, got, c.want, err)
		}
	}
}
