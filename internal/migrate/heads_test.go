package migrate

import (
	"testing"

	"github.com/foodflow/foodflow/internal/postgres"
)

// TestHeadsOfLogsThatAreThere: an installation that comes to the migration of
// audit heads with logs gets the ends of these.
func TestHeadsOfLogsThatAreThere(t *testing.T) {
	m, db := migrator(t)
	if err := m.Shared(t.Context()); err != nil {
		t.Fatal(err)
	}
	full, empty := addTenant(t, db), addTenant(t, db)
	if err := m.Up(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "INSERT INTO "+postgres.Schema(full)+".audit_log (seq, ts, actor, action, resource, prev, hash) SELECT i, now(), 'a', 'b', 'c', '', int4send(i) FROM generate_series(1, 5) i"); err != nil {
		t.Fatal(err)
	}
	if err := m.Down(t.Context(), Versions{Shared: 5, Tenants: -1}, nil); err != nil {
		t.Fatal(err)
	}
	if err := m.Up(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	var heads, right int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*), count(*) FILTER (WHERE tenant_id = $1 AND seq = 5 AND hash = int4send(5)) FROM foodflow.audit_heads", full.String()).Scan(&heads, &right); err != nil {
		t.Fatal(err)
	}
	if heads != 1 || right != 1 {
		t.Errorf("%d heads, %d right; %s has none", heads, right, empty)
	}
}
