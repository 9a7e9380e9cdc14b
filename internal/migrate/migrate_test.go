package migrate

import (
	"context"
	"database/sql"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/testkit"
)

func migrator(t testing.TB) (*Migrator, *sql.DB) {
	t.Helper()
	cfg := DefaultConfig()
	cfg.URL = testkit.Postgres(t)
	m, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	db := m.open(SharedSchema)
	t.Cleanup(func() { _ = db.Close() })
	return m, db
}

func addTenant(t testing.TB, db *sql.DB) plant.ID {
	t.Helper()
	id := plant.NewID()
	if _, err := db.ExecContext(t.Context(), `INSERT INTO foodflow.tenants (id, key, name, schema_name, role_name, state)
		VALUES ($1, $2, 'T', $3, $4, 'active')`, id.String(), "t"+id.String(), postgres.Schema(id), postgres.Role(id)); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestUpFromManyProcessesAtOnce(t *testing.T) {
	m, _ := migrator(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := m.Up(t.Context(), nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestStatusNamesLaggards(t *testing.T) {
	m, db := migrator(t)
	if err := m.Up(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	a, b := addTenant(t, db), addTenant(t, db)
	if err := m.Tenant(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	got, err := m.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lag := map[string]bool{}
	for _, s := range got {
		lag[s.Schema] = s.Lags()
	}
	if len(got) != 3 || lag[SharedSchema] || lag[postgres.Schema(a)] || !lag[postgres.Schema(b)] {
		t.Fatalf("status %+v", got)
	}
	calls := 0
	if err := m.Up(t.Context(), func(int, int) { calls++ }); err != nil {
		t.Fatal(err)
	}
	if got, err = m.Status(t.Context()); err != nil || got[2].Lags() || calls != 1 {
		t.Fatalf("after up: %+v, %d calls, %v", got, calls, err)
	}
}

// TestTenantRoleIsAWall holds what the role refuses even when the code is wrong.
func TestTenantRoleIsAWall(t *testing.T) {
	m, sdb := migrator(t)
	if err := m.Up(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	a, b := addTenant(t, sdb), addTenant(t, sdb)
	if err := m.Up(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	cfg := postgres.DefaultConfig()
	cfg.URL = m.cfg.URL
	db, err := postgres.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, c := range []struct {
		name, sql string
		arg       any
		ok        bool
	}{
		{"own line", "SELECT count(*) FROM lines WHERE $1 <> ''", "x", true},
		{"other's line", "SELECT count(*) FROM " + postgres.Schema(b) + ".lines WHERE $1 <> ''", "x", false},
		{"own outbox row", outboxRow, a.String(), true},
		{"other's outbox row", outboxRow, b.String(), false},
		{"reading the outbox", "SELECT count(*) FROM foodflow.outbox WHERE $1 <> ''", "x", false},
		{"tenants", "SELECT count(*) FROM foodflow.tenants WHERE $1 <> ''", "x", false},
		{"tokens", "SELECT count(*) FROM foodflow.refresh_tokens WHERE $1 <> ''", "x", false},
		{"changing an event", "UPDATE events SET actor = $1", "x", false},
		{"deleting audit rows", "DELETE FROM audit_log WHERE actor = $1", "x", false},
		{"own log-in", loginRow, a.String(), true},
		{"other's log-in", loginRow, b.String(), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := db.InTenant(t.Context(), a, func(ctx context.Context, tx pgx.Tx) error {
				_, err := tx.Exec(ctx, c.sql, c.arg)
				return err
			})
			if (err == nil) != c.ok {
				t.Errorf("got %v, want success %v", err, c.ok)
			}
			if err != nil && !strings.Contains(err.Error(), "42501") {
				t.Errorf("refused for another reason: %v", err)
			}
		})
	}
}

const (
	outboxRow = `INSERT INTO foodflow.outbox (tenant_id, kind, subject_kind, subject_id, version) VALUES ($1, 'directory', 'line', '00000000-0000-0000-0000-000000000001', 1)`
	loginRow  = `INSERT INTO foodflow.logins (email, tenant_id, user_id) VALUES ('a@b.example', $1, '00000000-0000-0000-0000-000000000001')`
)
