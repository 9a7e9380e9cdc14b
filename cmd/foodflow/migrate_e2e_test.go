package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/testkit"
)

// TestMigrateTenants runs foodflow migrate as its users do over many tenants:
// killed (-9) again and again in the middle, with failing tenants, by two
// processes at once, down and up again. Between the runs the oracle is what
// stands in each schema: goose's rows and the catalog of that version.
func TestMigrateTenants(t *testing.T) {
	w := newMigrateWorld(t)
	w.must("migrate")
	w.learn()
	n := 24
	if v, err := strconv.Atoi(os.Getenv("FOODFLOW_TEST_TENANTS")); err == nil {
		n = v
	}
	w.addTenants(n)
	t.Run("killed", func(t *testing.T) { w.in(t).killedAndResumed() })
	t.Run("failing", func(t *testing.T) { w.in(t).failing() })
	t.Run("two at once", func(t *testing.T) { w.in(t).twoAtOnce() })
	t.Run("control", func(t *testing.T) { w.in(t).control() })
}

// migrateWorld is an installation's stores with the program before them.
type migrateWorld struct {
	t       *testing.T
	bin     string
	url     string
	env     []string
	db      *pgx.Conn
	schemas []string // of the tenants
	// catalogs are those of a tenant's schema at each version.
	catalogs []string
}

func newMigrateWorld(t *testing.T) *migrateWorld {
	t.Helper()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	k, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	w := &migrateWorld{t: t, bin: bin, url: testkit.Postgres(t)}
	w.env = append(os.Environ(), "FOODFLOW_KAFKA_BROKERS="+strings.Join(k.ListenAddrs(), ","), "FOODFLOW_KAFKA_PARTITIONS=1", "FOODFLOW_CLICKHOUSE_URL="+embeddedtest.Start(t),
		"FOODFLOW_CLICKHOUSE_DATABASE="+embeddedtest.Database(t), "FOODFLOW_POSTGRES_URL="+w.url, "FOODFLOW_LOG_LEVEL=debug")
	if w.db, err = pgx.Connect(t.Context(), w.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.db.Close(t.Context()) })
	return w
}

func (w *migrateWorld) in(t *testing.T) *migrateWorld {
	t.Helper()
	own := *w
	own.t = t
	return &own
}

// run gives what the program printed, what it logged, and its exit code; -1 when
// it was killed.
func (w *migrateWorld) run(args ...string) (out, log string, code int) {
	w.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(w.bin, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = w.env, &stdout, &stderr
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		w.t.Error(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

func (w *migrateWorld) must(args ...string) string {
	w.t.Helper()
	out, log, code := w.run(args...)
	if code != 0 {
		w.t.Fatalf("foodflow %s ends with %d: %s%s", strings.Join(args, " "), code, out, log)
	}
	return out + log
}

func (w *migrateWorld) exec(statement string, args ...any) {
	w.t.Helper()
	if _, err := w.db.Exec(w.t.Context(), statement, args...); err != nil {
		w.t.Fatal(statement, ": ", err)
	}
}

func (w *migrateWorld) count(query string) (n int) {
	w.t.Helper()
	if err := w.db.QueryRow(w.t.Context(), query).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// addTenants enters tenants that have no schema yet.
func (w *migrateWorld) addTenants(n int) {
	w.t.Helper()
	for range n {
		id := plant.NewID()
		w.exec(`INSERT INTO foodflow.tenants (id, key, name, schema_name, role_name, state) VALUES ($1, $2, 'T', $3, $4, 'active')`,
			id.String(), "k"+id.String(), postgres.Schema(id), postgres.Role(id))
		w.schemas = append(w.schemas, postgres.Schema(id))
	}
}

// learn takes the catalogs of all versions from one tenant, which goes again.
func (w *migrateWorld) learn() {
	w.t.Helper()
	w.addTenants(1)
	schema := w.schemas[0]
	w.must("migrate")
	for v := w.at(schema); v >= 0; v-- {
		w.must("migrate", "down", "--tenants-to", strconv.Itoa(v), "--yes")
		w.catalogs = append([]string{testkit.Catalog(w.t, w.url, schema)}, w.catalogs...)
	}
	w.exec("DELETE FROM foodflow.tenants")
	w.schemas = nil
}

// top is the newest version.
func (w *migrateWorld) top() int { return len(w.catalogs) - 1 }

// at is a schema's version by the rows in it.
func (w *migrateWorld) at(schema string) (v int) {
	w.t.Helper()
	if w.count("SELECT count(*) FROM pg_tables WHERE tablename = 'goose_db_version' AND schemaname = '"+schema+"'") == 0 {
		return 0
	}
	return w.count("SELECT coalesce(max(version_id), 0) FROM " + schema + ".goose_db_version")
}

// granted says whether the tenant's role may use its schema.
func (w *migrateWorld) granted(schema string) bool {
	w.t.Helper()
	return w.count("SELECT count(*) FROM pg_roles r, pg_namespace n WHERE r.rolname = 'ff_"+schema+"' AND n.nspname = '"+schema+"' AND has_schema_privilege(r.oid, n.oid, 'USAGE')") == 1
}

// schemaLine is a line of migrate status --json.
type schemaLine struct {
	Schema, Tenant, Error string
	At, Target            int
	Behind                bool
}

// compare holds status against what stands in the schemas, and each schema
// against the catalog of its version. It gives the laggards.
func (w *migrateWorld) compare() (behind []string) {
	w.t.Helper()
	out, log, code := w.run("migrate", "status", "--json")
	said := map[string]schemaLine{}
	for d := json.NewDecoder(strings.NewReader(out)); d.More(); {
		var l schemaLine
		if err := d.Decode(&l); err != nil {
			w.t.Fatal(err, out, log)
		}
		said[l.Schema] = l
	}
	for _, schema := range w.schemas {
		at := w.at(schema)
		lags := at < w.top() || !w.granted(schema)
		if l := said[schema]; l.At != at || l.Target != w.top() || l.Behind != lags || l.Tenant == "" {
			w.t.Errorf("status says %+v; %s is at %d, behind %v", l, schema, at, lags)
		}
		if lags {
			behind = append(behind, schema)
		}
	}
	if faults := w.half(); len(faults) > 0 {
		w.t.Error(strings.Join(faults, "\n"))
	}
	if want := min(len(behind), 1); code != want || len(said) != len(w.schemas)+1 {
		w.t.Errorf("status ends with %d for %d laggards of %d: %s", code, len(behind), len(said), log)
	}
	return behind
}

// half names the schemas that are not as their version says.
func (w *migrateWorld) half() (faults []string) {
	w.t.Helper()
	for _, schema := range w.schemas {
		if at, is := w.at(schema), testkit.Catalog(w.t, w.url, schema); is != w.catalogs[at] {
			faults = append(faults, fmt.Sprintf("%s at version %d is\n%s", schema, at, is))
		}
	}
	return faults
}

// killedAndResumed kills run after run, each when it has brought some more
// tenants to some version, and then lets one through.
func (w *migrateWorld) killedAndResumed() {
	const kills, tries = 4, 40
	behind := len(w.schemas)
	for i, try := 0, 0; i < kills; try++ {
		if behind == 0 { // one was as good as through: all of it again
			w.must("migrate", "down", "--tenants-to", "0", "--yes")
			behind = len(w.schemas)
		}
		begun := w.applied() + 1 + rand.IntN(max(len(w.schemas)*w.top()/(kills+2), 1))
		cmd := exec.Command(w.bin, "migrate")
		cmd.Env = w.env
		if i%2 == 1 {
			// At a named place, too: all migrations there, the rights not.
			cmd.Env = append(slices.Clone(w.env), "FOODFLOW_FAILPOINT=migrate.applied:kill@"+strconv.Itoa(1+rand.IntN(max(behind/4, 1))))
		}
		if err := cmd.Start(); err != nil {
			w.t.Fatal(err)
		}
		gone := make(chan error, 1)
		go func() { gone <- cmd.Wait() }()
		for ended := false; !ended; {
			select {
			case <-gone:
				ended = true
			case <-time.After(5 * time.Millisecond):
				if i%2 == 0 && w.applied() >= begun {
					_ = cmd.Process.Kill() // it may have ended by itself
				}
			}
		}
		w.quiet()
		if cmd.ProcessState.Success() {
			// This process was held up while that one was not.
			if behind = 0; try > tries {
				w.t.Fatalf("run %d is never killed in time", i)
			}
			continue
		}
		i++
		left := w.compare()
		w.t.Logf("killed after %d migrations of %d: %d of %d tenants behind", w.applied(), len(w.schemas)*w.top(), len(left), len(w.schemas))
		behind = len(left)
	}
	start := time.Now()
	log := w.must("migrate")
	took := time.Since(start)
	if done := strings.Count(log, "schema migrated"); done != behind {
		w.t.Errorf("the next run migrated %d schemas, %d were behind", done, behind)
	}
	if left := w.compare(); len(left) > 0 {
		w.t.Errorf("%d are behind in the end", len(left))
	}
	start = time.Now()
	w.must("migrate", "status")
	status := time.Since(start)
	start = time.Now()
	w.must("migrate")
	w.t.Logf("%d tenants: the last %d migrated in %.2f s (%.0f ms each); status in %.2f s; a run with nothing to do in %.2f s",
		len(w.schemas), behind, took.Seconds(), float64(took.Milliseconds())/float64(max(behind, 1)), status.Seconds(), time.Since(start).Seconds())
}

// applied is how many migrations stand in all tenants.
func (w *migrateWorld) applied() int {
	w.t.Helper()
	n := 0
	for _, schema := range w.schemas {
		n += w.at(schema)
	}
	return n
}

// quiet waits until the sessions of a killed process are gone.
func (w *migrateWorld) quiet() {
	w.t.Helper()
	for deadline := time.Now().Add(patience); w.count("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'foodflow migrate' AND datname = current_database()") > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatal("sessions of the killed process stay")
		}
	}
}

// failing takes some tenants back and lets their way up fail.
func (w *migrateWorld) failing() {
	w.must("migrate", "down", "--tenants-to", "2", "--yes")
	bad := w.schemas[:3]
	for _, schema := range bad {
		w.exec("CREATE TABLE " + schema + ".users (x int)")
	}
	_, log, code := w.run("migrate")
	if code == 0 || !strings.Contains(log, fmt.Sprintf("3 of %d tenants failed", len(w.schemas))) {
		w.t.Errorf("the run ends with %d: %s", code, log)
	}
	out, _, code := w.run("migrate", "status")
	if code != 1 || !strings.HasSuffix(out, fmt.Sprintf("%d schemas, 3 behind\n", len(w.schemas)+1)) {
		w.t.Errorf("status ends with %d: %s", code, out)
	}
	for _, schema := range bad {
		line := regexp.MustCompile(`(?m)^tenant k[0-9a-f-]{36} \(schema ` + schema + `\) is at 2, needs ` + strconv.Itoa(w.top()) + `; the last try failed at 2\S+Z: .*relation "users" already exists`)
		if !line.MatchString(out) || !strings.Contains(log, `relation "users" already exists`) {
			w.t.Errorf("status says\n%s\nthe run\n%s", out, log)
		}
		w.exec("DROP TABLE " + schema + ".users")
	}
	if done := strings.Count(w.must("migrate"), "schema migrated"); done != 3 {
		w.t.Errorf("the next run migrated %d schemas", done)
	}
	if left := w.compare(); len(left) > 0 {
		w.t.Errorf("%d are behind in the end", len(left))
	}
}

// twoAtOnce lets two processes migrate all tenants from nothing.
func (w *migrateWorld) twoAtOnce() {
	if out, _, code := w.run("migrate", "down", "--tenants-to", "0"); code != 1 || strings.Count(out, "would go from") != len(w.schemas) || w.applied() != len(w.schemas)*w.top() {
		w.t.Errorf("without --yes: %d, %s", code, out)
	}
	w.must("migrate", "down", "--tenants-to", "0", "--yes")
	if n := w.applied(); n != 0 {
		w.t.Fatalf("%d migrations are left", n)
	}
	var wg sync.WaitGroup
	var logs [2]string
	start := time.Now()
	for i := range logs {
		wg.Go(func() {
			_, log, code := w.run("migrate")
			if logs[i] = log; code != 0 {
				w.t.Errorf("one ends with %d: %s", code, log)
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	applied, shares := 0, [2]int{}
	for i, log := range logs {
		for _, m := range regexp.MustCompile(`"schema migrated" .*applied=(\d+)`).FindAllStringSubmatch(log, -1) {
			n, err := strconv.Atoi(m[1])
			if err != nil {
				w.t.Fatal(err)
			}
			applied += n
			shares[i] += n
		}
	}
	if want := len(w.schemas) * w.top(); applied != want {
		w.t.Errorf("%d migrations are said to be applied, want %d", applied, want)
	}
	for _, schema := range w.schemas {
		if n := w.count("SELECT count(*) FROM " + schema + ".goose_db_version WHERE version_id > 0"); n != w.top() {
			w.t.Errorf("%s has %d rows of %d versions", schema, n, w.top())
		}
	}
	if left := w.compare(); len(left) > 0 {
		w.t.Errorf("%d are behind in the end", len(left))
	}
	w.t.Logf("two at once: %d and %d migrations, each once, in %.2f s (%.0f ms a tenant)", shares[0], shares[1], took.Seconds(), float64(took.Milliseconds())/float64(len(w.schemas)))
}

// control shows that the oracle sees what a migration without a transaction
// leaves: a part of a version, or a version without its row.
func (w *migrateWorld) control() {
	schema := w.schemas[len(w.schemas)-1]
	w.exec("DROP INDEX " + schema + ".lines_calendar")
	if faults := w.half(); len(faults) != 1 {
		w.t.Errorf("a missing index: %v", faults)
	}
	w.exec("CREATE INDEX lines_calendar ON " + schema + ".lines (calendar_id)")
	w.exec("DELETE FROM " + schema + ".goose_db_version WHERE version_id = (SELECT max(version_id) FROM " + schema + ".goose_db_version)")
	if faults := w.half(); len(faults) != 1 {
		w.t.Errorf("a missing row: %v", faults)
	}
	if _, log, code := w.run("migrate"); code == 0 {
		w.t.Errorf("what is there is made again: %s", log)
	}
}
