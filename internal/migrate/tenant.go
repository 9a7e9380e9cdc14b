package migrate

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/migrations"
)

// groupRole holds what all tenants may do in the installation's schema, so that
// a thousand tenants don't write a thousand entries into one table's rights.
const groupRole = "ff_tenants"

// prepareShared makes the schema and the group role. Roles belong to the whole
// cluster, so another database may have made it, or be making it right now.
func prepareShared(ctx context.Context, db *sql.DB) error {
	return exec(ctx, db, "CREATE SCHEMA IF NOT EXISTS "+SharedSchema, createRole(groupRole))
}

// grantShared lets tenants add what row security says is theirs.
func grantShared(ctx context.Context, db *sql.DB) error {
	return exec(ctx, db,
		"GRANT INSERT ON "+SharedSchema+".outbox TO "+groupRole,
		"GRANT SELECT, INSERT, UPDATE, DELETE ON "+SharedSchema+".logins TO "+groupRole,
		"GRANT SELECT, INSERT, UPDATE ON "+SharedSchema+".audit_heads TO "+groupRole,
		// The last statement is the one upToDate looks for.
		"GRANT USAGE ON SCHEMA "+SharedSchema+" TO "+groupRole,
	)
}

// prepareTenant makes schema and role. The role can't log in; the service
// becomes it for the length of a transaction.
func prepareTenant(ctx context.Context, db *sql.DB, schema string) error {
	role := roleOf(schema)
	return exec(ctx, db, "CREATE SCHEMA IF NOT EXISTS "+schema, createRole(role), member(groupRole, "'"+role+"'"), member(role, "current_user"))
}

// Drop removes a tenant's schema with all that is in it, and its role. What is
// gone already is no error.
func (m *Migrator) Drop(ctx context.Context, id plant.ID) error {
	schema := postgres.Schema(id)
	db := m.open(SharedSchema)
	defer db.Close()
	drop := func(ctx context.Context, db *sql.DB) error {
		role := roleOf(schema)
		return exec(ctx, db,
			"DROP SCHEMA IF EXISTS "+schema+" CASCADE",
			// Its rights in the installation's schema go with OWNED.
			"DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = '"+role+"') THEN DROP OWNED BY "+role+"; DROP ROLE "+role+"; END IF; END $$",
		)
	}
	if err := locked(ctx, db, schema, drop); err != nil {
		return fmt.Errorf("dropping tenant %s: %w", id, err)
	}
	return nil
}

// Left names what there is of a tenant's schema and role.
func (m *Migrator) Left(ctx context.Context, id plant.ID) (schema, role bool, err error) {
	db := m.open(SharedSchema)
	defer db.Close()
	err = db.QueryRowContext(ctx, "SELECT count(*) > 0, (SELECT count(*) > 0 FROM pg_roles WHERE rolname = $2) FROM pg_namespace WHERE nspname = $1",
		postgres.Schema(id), postgres.Role(id)).Scan(&schema, &role)
	if err != nil {
		return false, false, fmt.Errorf("looking for tenant %s: %w", id, err)
	}
	return schema, role, nil
}

// grantTenant gives a tenant's role its own schema, without change of what is
// only ever added to.
func grantTenant(ctx context.Context, db *sql.DB, schema string) error {
	role := roleOf(schema)
	return exec(ctx, db,
		"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "+schema+" TO "+role,
		"REVOKE ALL ON "+schema+".goose_db_version FROM "+role,
		"REVOKE UPDATE, DELETE ON "+schema+".events, "+schema+".audit_log FROM "+role,
		// The last statement is the one upToDate looks for.
		"GRANT USAGE ON SCHEMA "+schema+" TO "+role,
	)
}

// roleOf is postgres.Role by the schema's name.
func roleOf(schema string) string { return "ff_" + schema }

func createRole(role string) string {
	return "DO $$ BEGIN CREATE ROLE " + role + " NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
}

// member makes to (an expression) a member of role, once.
func member(role, to string) string {
	return `DO $$ BEGIN
		IF NOT pg_has_role(` + to + `, '` + role + `', 'MEMBER') THEN
			EXECUTE format('GRANT %I TO %I', '` + role + `', ` + to + `);
		END IF;
	EXCEPTION WHEN unique_violation THEN NULL;
	END $$`
}

func exec(ctx context.Context, db *sql.DB, statements ...string) error {
	for _, q := range statements {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("making schemas, roles and rights: %w", err)
		}
	}
	return nil
}

// tenants lists the ids of all tenants, oldest first.
func (m *Migrator) tenants(ctx context.Context) ([]plant.ID, error) {
	db := m.open(SharedSchema)
	defer db.Close()
	rows, err := db.QueryContext(ctx, "SELECT id::text FROM foodflow.tenants ORDER BY created_at, id")
	if err != nil {
		return nil, fmt.Errorf("listing tenants: %w", err)
	}
	defer rows.Close()
	var out []plant.ID
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, fmt.Errorf("listing tenants: %w", err)
		}
		id, err := plant.ParseID(s)
		if err != nil {
			return nil, fmt.Errorf("listing tenants: %w", err)
		}
		out = append(out, id)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("listing tenants: %w", err)
	}
	return out, nil
}

// Status is how far a schema is.
type Status struct {
	Schema string `json:"schema"`
	At     int64  `json:"at"`     // version applied, 0: none
	Target int64  `json:"target"` // version this program needs
}

// Lags reports whether migrations are missing.
func (s Status) Lags() bool { return s.At < s.Target }

// Status gives every schema's version.
func (m *Migrator) Status(ctx context.Context) ([]Status, error) {
	db := m.open(SharedSchema)
	defer db.Close()
	target, err := newest(migrations.Shared())
	if err != nil {
		return nil, err
	}
	at, err := version(ctx, db, SharedSchema)
	if err != nil {
		return nil, err
	}
	out := []Status{{Schema: SharedSchema, At: at, Target: target}}
	if at == 0 {
		return out, nil
	}
	if target, err = newest(migrations.Tenant()); err != nil {
		return nil, err
	}
	ids, err := m.tenants(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		schema := postgres.Schema(id)
		at, err := version(ctx, db, schema)
		if err != nil {
			return nil, err
		}
		out = append(out, Status{Schema: schema, At: at, Target: target})
	}
	return out, nil
}

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
	role := groupRole
	if schema != SharedSchema {
		role = roleOf(schema)
	}
	// The rights come after the last migration; a run cut short between the two
	// is found here.
	var granted bool
	err = db.QueryRowContext(ctx, `SELECT count(*) > 0 FROM pg_roles WHERE rolname = $1 AND has_schema_privilege(rolname, $2, 'USAGE')`,
		role, schema).Scan(&granted)
	if err != nil {
		return false, fmt.Errorf("reading rights: %w", err)
	}
	return granted, nil
}

// version gives the newest version applied in a schema, 0 where there is none.
func version(ctx context.Context, db *sql.DB, schema string) (int64, error) {
	var there bool
	if err := db.QueryRowContext(ctx, "SELECT to_regclass($1) IS NOT NULL", schema+".goose_db_version").Scan(&there); err != nil {
		return 0, fmt.Errorf("reading version of %s: %w", schema, err)
	}
	if !there {
		return 0, nil
	}
	var v int64
	if err := db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM "+schema+".goose_db_version WHERE is_applied").Scan(&v); err != nil {
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
