package migrate

import (
	"strings"
	"testing"

	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/testkit"
)

// TestFailingTenants: tenants whose migration fails don't stop the others; run
// and status name them with the reason, and when it is gone the next run does
// only what is left.
func TestFailingTenants(t *testing.T) {
	m, db := migrator(t)
	if err := m.Shared(t.Context()); err != nil {
		t.Fatal(err)
	}
	run := func(q string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	bad := map[string]bool{}
	for i := range 9 {
		schema := postgres.Schema(addTenant(t, db))
		if i%4 == 0 {
			bad[schema] = true
			run("CREATE SCHEMA " + schema)
			run("CREATE TABLE " + schema + ".lines (x int)")
		}
	}
	done := 0
	err := m.Up(t.Context(), func(int, int) { done++ })
	if err == nil || !strings.HasPrefix(err.Error(), "3 of 9 tenants failed") || strings.Count(err.Error(), `relation "lines" already exists`) != 3 || done != 9 {
		t.Errorf("after %d tenants: %v", done, err)
	}
	all, err := m.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Lags() != bad[s.Schema] || bad[s.Schema] != strings.Contains(s.Error, "already exists") || bad[s.Schema] != (s.FailedAt != nil) {
			t.Errorf("%s", s)
		}
		if bad[s.Schema] {
			if want := "tenant " + s.Tenant + " (schema " + s.Schema + ") is at 0, needs "; !strings.HasPrefix(s.String(), want) || !strings.Contains(s.String(), "already exists") {
				t.Errorf("%s", s)
			}
			if left := testkit.Catalog(t, m.cfg.URL, s.Schema); left != "column lines.x integer f  \nrelation lines r f" {
				t.Errorf("%s is half migrated:\n%s", s.Schema, left)
			}
		}
	}
	for schema := range bad {
		run("DROP TABLE " + schema + ".lines")
	}
	again := 0
	if err := m.Up(t.Context(), func(_, total int) { again = total }); err != nil || again != 3 {
		t.Errorf("the next run has %d to do: %v", again, err)
	}
	if all, err = m.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Lags() || s.Error != "" {
			t.Errorf("in the end: %s", s)
		}
	}
	var noted int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM foodflow.migration_failures").Scan(&noted); err != nil || noted != 0 {
		t.Errorf("%d failures are remembered, %v", noted, err)
	}
}

// TestDeletingTenantsAreLeftAlone: who saw a tenant before its deletion doesn't
// make its schema again.
func TestDeletingTenantsAreLeftAlone(t *testing.T) {
	m, db := migrator(t)
	if err := m.Shared(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone, deleting := addTenant(t, db), addTenant(t, db)
	if _, err := db.ExecContext(t.Context(), "UPDATE foodflow.tenants SET state = 'deleting' WHERE id = $1", deleting.String()); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "DELETE FROM foodflow.tenants WHERE id = $1", gone.String()); err != nil {
		t.Fatal(err)
	}
	seen := []Status{{Schema: postgres.Schema(gone)}, {Schema: postgres.Schema(deleting)}}
	work := func(s Status) error { return m.run(t.Context(), s.Schema, m.tenantFiles, tenantSteps(s.Schema)) }
	for _, s := range seen {
		if err := work(s); err == nil {
			t.Errorf("%s is migrated", s.Schema)
		}
	}
	if err := m.Up(t.Context(), nil); err != nil {
		t.Error(err)
	}
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 't\\_%'").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d schemas are made again, %v", n, err)
	}
}
