package migrate

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/foodflow/foodflow/internal/job"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/migrations"
)

// Status is how far a schema is.
type Status struct {
	Schema string `json:"schema"`
	Tenant string `json:"tenant,omitempty"` // its key; "" for the installation's schema
	At     int64  `json:"at"`               // version applied, 0: none
	Target int64  `json:"target"`           // version this program needs
	// Unfinished: all migrations are there, but not what comes after them: rights
	// and, in the installation's schema, River's tables.
	Unfinished bool `json:"unfinished,omitempty"`
	// Error says why the last try failed, at FailedAt, where it did.
	Error    string     `json:"error,omitempty"`
	FailedAt *time.Time `json:"failed_at,omitempty"`
}

// Lags reports whether something is missing.
func (s Status) Lags() bool { return s.At < s.Target || s.Unfinished }

// String tells it to people.
func (s Status) String() string {
	name := "schema " + s.Schema
	if s.Tenant != "" {
		name = "tenant " + s.Tenant + " (" + name + ")"
	}
	text := fmt.Sprintf("%s is at %d, needs %d", name, s.At, s.Target)
	if s.Unfinished {
		text += " with its rights"
	}
	if s.FailedAt != nil {
		text += fmt.Sprintf("; the last try failed at %s: %s", s.FailedAt.UTC().Format(time.RFC3339), s.Error)
	}
	return text
}

// Status gives the version of the installation's schema and then every tenant's,
// oldest first, without those that are being deleted.
func (m *Migrator) Status(ctx context.Context) ([]Status, error) {
	db := m.open(SharedSchema)
	defer db.Close()
	shared, err := m.sharedStatus(ctx, db)
	if err != nil {
		return nil, err
	}
	if shared.At == 0 {
		return []Status{shared}, nil
	}
	target, err := newest(m.tenantFiles)
	if err != nil {
		return nil, err
	}
	// A tenant may go while its schema is read; then all is read again.
	for tries := 3; ; tries-- {
		all, err := tenantStatus(ctx, db, target)
		if code, _ := postgres.Code(err); (code == postgres.CodeNoTable || code == postgres.CodeNoSchema) && tries > 1 {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading versions: %w", err)
		}
		all = append([]Status{shared}, all...)
		return all, failures(ctx, db, all)
	}
}

func (m *Migrator) sharedStatus(ctx context.Context, db *sql.DB) (Status, error) {
	s := Status{Schema: SharedSchema}
	var err error
	if s.Target, err = newest(migrations.Shared()); err != nil {
		return s, err
	}
	if s.At, err = version(ctx, db, SharedSchema); err != nil || s.At < s.Target {
		return s, err
	}
	rights, err := granted(ctx, db, SharedSchema)
	if err != nil {
		return s, err
	}
	pool, err := m.pool(ctx)
	if err != nil {
		return s, err
	}
	defer pool.Close()
	jobs, err := job.Migrated(ctx, pool, m.log)
	s.Unfinished = !rights || !jobs
	return s, err
}

// chunk is how many schemas one statement reads: it holds a lock on each.
const chunk = 100

func tenantStatus(ctx context.Context, db *sql.DB, target int64) ([]Status, error) {
	rows, err := db.QueryContext(ctx, `SELECT t.key, t.schema_name, to_regclass(t.schema_name || '.goose_db_version') IS NOT NULL,
			EXISTS (SELECT FROM pg_roles r JOIN pg_namespace n ON n.nspname = t.schema_name WHERE r.rolname = t.role_name AND has_schema_privilege(r.oid, n.oid, 'USAGE'))
		FROM foodflow.tenants t WHERE t.state <> 'deleting' ORDER BY t.created_at, t.id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Status
	var begun []int // those with a table of versions
	for rows.Next() {
		s := Status{Target: target}
		var table, rights bool
		if err := rows.Scan(&s.Tenant, &s.Schema, &table, &rights); err != nil {
			return nil, err
		}
		if table {
			begun = append(begun, len(out))
		}
		s.Unfinished = !rights
		out = append(out, s)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for some := range slices.Chunk(begun, chunk) {
		if err := versions(ctx, db, out, some); err != nil {
			return nil, err
		}
	}
	for i := range out {
		out[i].Unfinished = out[i].Unfinished && out[i].At >= target
	}
	return out, nil
}

// versions reads where some schemas are.
func versions(ctx context.Context, db *sql.DB, all []Status, some []int) error {
	q := make([]string, len(some))
	for n, i := range some {
		q[n] = fmt.Sprintf("SELECT %d, (%s)", i, versionOf(all[i].Schema))
	}
	rows, err := db.QueryContext(ctx, strings.Join(q, " UNION ALL "))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var i int
		var at int64
		if err := rows.Scan(&i, &at); err != nil {
			return err
		}
		all[i].At = at
	}
	return rows.Err()
}

// versionOf is the query for the newest version applied. Names of schemas need
// no quoting.
func versionOf(schema string) string {
	return "SELECT coalesce(max(version_id), 0) FROM " + schema + ".goose_db_version WHERE is_applied"
}

// upToDate reports whether nothing is to be done in a schema.
func upToDate(ctx context.Context, db *sql.DB, schema string, files fs.FS) (bool, error) {
	target, err := newest(files)
	if err != nil {
		return false, err
	}
	at, err := version(ctx, db, schema)
	if err != nil {
		return false, err
	}
	if at < target {
		return false, nil
	}
	return granted(ctx, db, schema)
}

// granted reports whether the rights are there that come after the last
// migration; a run cut short between the two is found here.
func granted(ctx context.Context, db *sql.DB, schema string) (ok bool, err error) {
	role := groupRole
	if schema != SharedSchema {
		role = roleOf(schema)
	}
	err = db.QueryRowContext(ctx, "SELECT count(*) > 0 FROM pg_roles WHERE rolname = $1 AND has_schema_privilege(oid, $2, 'USAGE')", role, schema).Scan(&ok)
	if err != nil {
		return false, fmt.Errorf("reading rights: %w", err)
	}
	return ok, nil
}

// version gives the newest version applied in a schema, 0 where there is none.
func version(ctx context.Context, db *sql.DB, schema string) (int64, error) {
	var there bool
	if err := db.QueryRowContext(ctx, "SELECT to_regclass($1) IS NOT NULL", schema+".goose_db_version").Scan(&there); err != nil {
		return 0, fmt.Errorf("reading version of %s: %w", schema, postgres.Explained(err))
	}
	if !there {
		return 0, nil
	}
	var v int64
	if err := db.QueryRowContext(ctx, versionOf(schema)).Scan(&v); err != nil {
		return 0, fmt.Errorf("reading version of %s: %w", schema, err)
	}
	return v, nil
}

// newest gives the highest version among the files.
func newest(files fs.FS) (int64, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return 0, fmt.Errorf("listing migrations: %w", err)
	}
	var top int64
	for _, n := range names {
		v, err := goose.NumericComponent(n)
		if err != nil {
			return 0, fmt.Errorf("reading migration %s: %w", n, err)
		}
		top = max(top, v)
	}
	return top, nil
}
