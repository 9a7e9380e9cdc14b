package migrate

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/testkit"
	"github.com/foodflow/foodflow/migrations"
)

// TestDownUndoesUp: each migration on its way down leaves the very catalog that
// was there before it on the way up, and the way up again ends as the first one
// did; through the provider version by version, and through Down and Up.
func TestDownUndoesUp(t *testing.T) {
	m, db := migrator(t)
	if err := m.Up(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	shared := testkit.Catalog(t, m.cfg.URL, SharedSchema)
	id := addTenant(t, db)
	schema := postgres.Schema(id)
	if err := m.Tenant(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	whole := testkit.Catalog(t, m.cfg.URL, schema)
	if faults := stairs(t, m, schema, migrations.Tenant()); len(faults) > 0 {
		t.Error(strings.Join(faults, "\n"))
	}
	if err := m.Down(t.Context(), Versions{Shared: 0, Tenants: 0}, nil); err == nil {
		t.Error("the list of tenants goes while there are tenants")
	}
	if err := m.Down(t.Context(), Versions{Shared: -1, Tenants: 0}, nil); err != nil {
		t.Fatal(err)
	}
	if left := testkit.Catalog(t, m.cfg.URL, schema); left != "" {
		t.Errorf("left in the tenant's schema:\n%s", left)
	}
	if err := m.Up(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if again := testkit.Catalog(t, m.cfg.URL, schema); again != whole {
		t.Errorf("the tenant's schema was\n%s\nand is\n%s", whole, again)
	}
	if err := m.Drop(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "DELETE FROM foodflow.tenants"); err != nil {
		t.Fatal(err)
	}
	if err := m.Down(t.Context(), Versions{Shared: 0, Tenants: -1}, nil); err != nil {
		t.Fatal(err)
	}
	if left := testkit.Catalog(t, m.cfg.URL, SharedSchema); left != "" {
		t.Errorf("left in the installation's schema:\n%s", left)
	}
	if faults := stairs(t, m, SharedSchema, migrations.Shared()); len(faults) > 0 {
		t.Error(strings.Join(faults, "\n"))
	}
	if err := m.Up(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if again := testkit.Catalog(t, m.cfg.URL, SharedSchema); again != shared {
		t.Errorf("the installation's schema was\n%s\nand is\n%s", shared, again)
	}
}

// TestDownThatForgets is the control: a migration whose way down leaves an index
// is seen.
func TestDownThatForgets(t *testing.T) {
	m, db := migrator(t)
	if err := m.Shared(t.Context()); err != nil {
		t.Fatal(err)
	}
	schema := postgres.Schema(addTenant(t, db))
	m.tenantFiles = fstest.MapFS{
		"00001_a.sql": {Data: []byte("-- +goose Up\nCREATE TABLE a (x int);\n-- +goose Down\nDROP TABLE a;\n")},
		"00002_b.sql": {Data: []byte("-- +goose Up\nCREATE INDEX b ON a (x); ALTER TABLE a ADD y int;\n-- +goose Down\nALTER TABLE a DROP y;\n")},
	}
	if _, err := db.ExecContext(t.Context(), "CREATE SCHEMA "+schema); err != nil {
		t.Fatal(err)
	}
	if faults := stairs(t, m, schema, m.tenantFiles); len(faults) == 0 {
		t.Error("an index that stayed is not seen")
	}
}

// stairs goes down from the newest version to none, up, and down again, step by
// step, and gives where the catalogs of a version differ. It ends where it began.
func stairs(t *testing.T, m *Migrator, schema string, files fs.FS) (faults []string) {
	t.Helper()
	db := m.open(schema)
	defer db.Close()
	p, err := provider(db, schema, files)
	if err != nil {
		t.Fatal(err)
	}
	top, err := newest(files)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.DownTo(t.Context(), 0); err != nil {
		return []string{err.Error()}
	}
	seen := make([]string, top+1)
	seen[0] = testkit.Catalog(t, m.cfg.URL, schema)
	check := func(v int64, way string, err error) {
		switch is := testkit.Catalog(t, m.cfg.URL, schema); {
		case err != nil:
			faults = append(faults, err.Error())
		case is != seen[v]:
			faults = append(faults, schema+" on the way "+way+" was\n"+seen[v]+"\nand is\n"+is)
		}
	}
	for v := int64(1); v <= top; v++ {
		_, err := p.UpTo(t.Context(), v)
		seen[v] = testkit.Catalog(t, m.cfg.URL, schema)
		check(v, "up", err)
		_, err = p.DownTo(t.Context(), v-1)
		check(v-1, "down", err)
		_, err = p.UpTo(t.Context(), v)
		check(v, "up again", err)
	}
	return faults
}
