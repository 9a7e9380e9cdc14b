package migrate

import (
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"testing"
	"testing/fstest"
	"time"

	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/testkit"
)

// TestKilledInAMigration: the process is killed (-9) while Postgres is held in
// the middle of a tenant's migration. The schema is then that of a version, and
// the next run ends it. The control is the same with migrations that are in no
// transaction: a part of one stays, and the next run stumbles over it.
func TestKilledInAMigration(t *testing.T) {
	for _, c := range []struct {
		name  string
		naked bool
	}{{"transactions", false}, {"control", true}} {
		t.Run(c.name, func(t *testing.T) {
			m, db := migrator(t)
			if err := m.Shared(t.Context()); err != nil {
				t.Fatal(err)
			}
			whole, id := addTenant(t, db), addTenant(t, db)
			schema := postgres.Schema(id)
			if err := m.Tenant(t.Context(), whole); err != nil {
				t.Fatal(err)
			}
			killHeld(t, m, db, schema, c.naked)
			at, err := version(t.Context(), db, schema)
			if err != nil {
				t.Fatal(err)
			}
			left, want := testkit.Catalog(t, m.cfg.URL, schema), atVersion(t, m, db, at)
			t.Logf("killed in the migration after version %d: half migrated %v", at, left != want)
			if (left != want) != c.naked {
				t.Errorf("at version %d there is\n%s\nand should be\n%s", at, left, want)
			}
			err = m.Up(t.Context(), nil)
			if (err != nil) != c.naked {
				t.Errorf("the next run: %v", err)
			}
			if is, want := testkit.Catalog(t, m.cfg.URL, schema), testkit.Catalog(t, m.cfg.URL, postgres.Schema(whole)); (is != want) != c.naked {
				t.Errorf("in the end there is\n%s\nand should be\n%s", is, want)
			}
		})
	}
}

// killHeld runs a child up to the making of the table batches of a schema and
// kills it there.
func killHeld(t *testing.T, m *Migrator, db *sql.DB, schema string, isNaked bool) {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	run := func(q string) {
		t.Helper()
		if _, err := conn.ExecContext(t.Context(), q); err != nil {
			t.Fatal(q, ": ", err)
		}
	}
	run(`CREATE FUNCTION public.hold() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
		IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity = '` + schema + `.batches') THEN PERFORM pg_advisory_lock_shared(4711); END IF; END $$`)
	run("CREATE EVENT TRIGGER hold ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.hold()")
	run("SELECT pg_advisory_lock(4711)")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childURL+"="+m.cfg.URL)
	if isNaked {
		cmd.Env = append(cmd.Env, childNaked+"=yes")
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }() // it was killed
	count := func(q string) (n int) {
		t.Helper()
		if err := conn.QueryRowContext(t.Context(), q).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	await(t, "nobody waits in the migration", func() bool {
		return count("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted") == 1
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	run("SELECT pg_advisory_unlock(4711)")
	await(t, "the killed process's sessions stay", func() bool {
		return count("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())") == 0
	})
	run("DROP EVENT TRIGGER hold")
}

func await(t *testing.T, otherwise string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(otherwise)
		}
	}
}

// atVersion is the catalog of a schema that was brought to a version undisturbed.
func atVersion(t *testing.T, m *Migrator, db *sql.DB, v int64) string {
	t.Helper()
	schema := postgres.Schema(plant.NewID())
	if _, err := db.ExecContext(t.Context(), "CREATE SCHEMA "+schema); err != nil {
		t.Fatal(err)
	}
	own := m.open(schema)
	defer own.Close()
	p, err := provider(own, schema, m.tenantFiles)
	if err != nil {
		t.Fatal(err)
	}
	if v > 0 {
		if _, err := p.UpTo(t.Context(), v); err != nil {
			t.Fatal(err)
		}
	}
	return testkit.Catalog(t, m.cfg.URL, schema)
}

// naked are the same migrations outside of transactions.
func naked(files fs.FS) (fs.FS, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	out := fstest.MapFS{}
	for _, n := range names {
		b, err := fs.ReadFile(files, n)
		if err != nil {
			return nil, err
		}
		out[n] = &fstest.MapFile{Data: fmt.Appendf(nil, "-- +goose NO TRANSACTION\n%s", b)}
	}
	return out, nil
}
