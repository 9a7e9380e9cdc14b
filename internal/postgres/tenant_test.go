package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/migrate"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/testkit"
)

// TestConnectionCarriesNoTenantOver is promise S4: many workers of two tenants
// share few connections, and cancel, panic and lose connections in the middle.
func TestConnectionCarriesNoTenantOver(t *testing.T) {
	t.Run("direct", func(t *testing.T) {
		cfg := postgres.DefaultConfig()
		cfg.URL = testkit.Postgres(t)
		cfg.MaxConns = 4
		carriesNoTenantOver(t, cfg)
	})
	// Twenty connections of ours on four of the server.
	t.Run("pgbouncer", func(t *testing.T) {
		cfg := postgres.DefaultConfig()
		cfg.Direct = testkit.Postgres(t)
		cfg.URL = testkit.PgBouncer(t, cfg.Direct)
		cfg.MaxConns = 20
		carriesNoTenantOver(t, cfg)
	})
}

func carriesNoTenantOver(t *testing.T, cfg postgres.Config) {
	t.Helper()
	db, tenants := twoTenants(t, cfg)
	for _, id := range tenants {
		if err := db.InTenant(t.Context(), id, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO stop_reasons (id, key, name) VALUES ($1, 'mine', $2)", id, id.String())
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	var read, foreign atomic.Int64
	disturb := func() {
		var wg sync.WaitGroup
		for w := range 64 {
			wg.Go(func() {
				id := tenants[w%2]
				for i := range 20 {
					name, ok := disturbedRead(t.Context(), db, id, (w+i)%7)
					if !ok {
						continue
					}
					read.Add(1)
					if name != id.String() {
						foreign.Add(1)
					}
				}
			})
		}
		wg.Wait()
	}
	// Once more where connections came too slowly for most.
	for round := 0; round == 0 || round < 10 && read.Load() < 200; round++ {
		disturb()
	}
	if foreign.Load() != 0 || read.Load() < 200 {
		t.Fatalf("%d rows read, %d foreign", read.Load(), foreign.Load())
	}
	t.Logf("rows read %d, foreign %d", read.Load(), foreign.Load())
	refusesForeignSchema(t, db, tenants)
	// The negative control: SET without LOCAL carries over, and this test's
	// way of looking sees it.
	if !leaksWithoutLocal(t, db, tenants[0]) {
		t.Error("the control found no leak, so the test proves nothing")
	}
}

// refusesForeignSchema holds the second wall: a statement that names another
// tenant's schema is refused by the database.
func refusesForeignSchema(t *testing.T, db *postgres.DB, tenants []plant.ID) {
	t.Helper()
	for _, table := range []string{postgres.Schema(tenants[1]) + ".stop_reasons", "foodflow.tenants", "foodflow.signing_keys"} {
		err := db.InTenant(t.Context(), tenants[0], func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "SELECT * FROM "+table)
			return err
		})
		if code, _ := postgres.Code(err); code != "42501" { // insufficient_privilege
			t.Errorf("reading %s: %v", table, err)
		}
	}
}

// disturbedRead reads the tenant's own row, or does one of several violent
// things to its transaction.
func disturbedRead(ctx context.Context, db *postgres.DB, id plant.ID, how int) (name string, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := db.InTenant(ctx, id, func(ctx context.Context, tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, "SELECT name FROM stop_reasons").Scan(&name); err != nil {
			return err
		}
		switch how {
		case 1:
			panic("in the middle")
		case 2:
			cancel()
			_, err := tx.Exec(ctx, "SELECT 1")
			return err
		case 3:
			return errors.New("rolled back")
		case 4:
			_, err := tx.Exec(ctx, "SELECT pg_terminate_backend(pg_backend_pid())")
			return err
		}
		return nil
	})
	return name, err == nil
}

func leaksWithoutLocal(t *testing.T, db *postgres.DB, id plant.ID) bool {
	t.Helper()
	const setting = "foodflow.control"
	first, err := db.Pool().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Exec(t.Context(), "BEGIN; SET "+setting+" = '"+id.String()+"'; COMMIT"); err != nil {
		t.Fatal(err)
	}
	first.Release()
	// Behind PgBouncer another connection of ours may meet that server process.
	for range 200 {
		var found *string
		if err := db.Pool().QueryRow(t.Context(), "SELECT current_setting($1, true)", setting).Scan(&found); err != nil {
			t.Fatal(err)
		}
		if found != nil && *found == id.String() {
			return true
		}
	}
	return false
}

func TestDownIsUnavailable(t *testing.T) {
	cfg := postgres.DefaultConfig()
	cfg.URL = "postgres://nobody@127.0.0.1:1/none?sslmode=disable"
	db, err := postgres.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.InShared(t.Context(), func(context.Context, pgx.Tx) error { return nil })
	if fault.KindOf(err) != fault.Unavailable {
		t.Fatalf("got %v, want unavailable", err)
	}
}

func TestConfigNamesFaultsWithoutSecrets(t *testing.T) {
	err := postgres.Config{URL: "postgres://u:canary@h:port/"}.Validate()
	if err == nil {
		t.Fatal("no fault found")
	}
	for _, want := range []string{"postgres.url", "postgres.max_conns", "postgres.acquire", "postgres.statement"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not named in %q", want, err)
		}
	}
	if strings.Contains(err.Error(), "canary") {
		t.Error("the password is in the message")
	}
}

func twoTenants(t *testing.T, cfg postgres.Config) (*postgres.DB, []plant.ID) {
	t.Helper()
	mc := migrate.DefaultConfig()
	if mc.URL = cfg.Direct; mc.URL == "" {
		mc.URL = cfg.URL
	}
	m, err := migrate.New(mc, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Shared(t.Context()); err != nil {
		t.Fatal(err)
	}
	db, err := postgres.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	var ids []plant.ID
	for i := range 2 {
		id := plant.NewID()
		ids = append(ids, id)
		if err := db.InShared(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO tenants (id, key, name, schema_name, role_name, state) VALUES ($1, $2, 'T', $3, $4, 'active')`,
				id, fmt.Sprint("t", i), postgres.Schema(id), postgres.Role(id))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := m.Tenant(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	return db, ids
}
