package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
)

// groupRole holds what all tenants may do in the installation's schema, so that
// a thousand tenants don't write a thousand entries into one table's rights.
const groupRole = "ff_tenants"

// prepareShared makes the schema and the group role. Roles belong to the whole
// cluster, so another database may have made it, or be making it right now.
func prepareShared(ctx context.Context, db *sql.DB) error {
	return execute(ctx, db, "CREATE SCHEMA IF NOT EXISTS "+SharedSchema, createRole(groupRole))
}

// grantShared lets tenants add what row security says is theirs.
func grantShared(ctx context.Context, db *sql.DB) error {
	return execute(ctx, db,
		"GRANT INSERT ON "+SharedSchema+".outbox TO "+groupRole,
		"GRANT SELECT, INSERT, UPDATE, DELETE ON "+SharedSchema+".logins TO "+groupRole,
		"GRANT SELECT, INSERT, UPDATE ON "+SharedSchema+".audit_heads TO "+groupRole,
		"GRANT SELECT, INSERT, UPDATE ON "+SharedSchema+".revocations TO "+groupRole,
		// The last statement is the one upToDate looks for.
		"GRANT USAGE ON SCHEMA "+SharedSchema+" TO "+groupRole,
	)
}

func tenantSteps(schema string) steps {
	return steps{
		prepare: func(ctx context.Context, db *sql.DB) error { return prepareTenant(ctx, db, schema) },
		grant:   func(ctx context.Context, db *sql.DB) error { return grantTenant(ctx, db, schema) },
	}
}

// errGone ends the work on a tenant that is being deleted or is no more.
var errGone = errors.New("the tenant is deleted")

// prepareTenant makes schema and role. The role can't log in; the service
// becomes it for the length of a transaction. Drop holds the same lock, so what a
// deletion took away isn't made again by who saw the tenant before.
func prepareTenant(ctx context.Context, db *sql.DB, schema string) error {
	var there bool
	err := db.QueryRowContext(ctx, "SELECT count(*) > 0 FROM foodflow.tenants WHERE schema_name = $1 AND state <> 'deleting'", schema).Scan(&there)
	if err != nil {
		return fmt.Errorf("looking for the tenant: %w", err)
	}
	if !there {
		return errGone
	}
	role := roleOf(schema)
	return execute(ctx, db, "CREATE SCHEMA IF NOT EXISTS "+schema, createRole(role), member(groupRole, "'"+role+"'"), member(role, "current_user"))
}

// Drop removes a tenant's schema with all that is in it, and its role. What is
// gone already is no error.
func (m *Migrator) Drop(ctx context.Context, id plant.ID) error {
	schema := postgres.Schema(id)
	db := m.open(SharedSchema)
	defer db.Close()
	drop := func(ctx context.Context, db *sql.DB) error {
		role := roleOf(schema)
		return execute(ctx, db,
			"DROP SCHEMA IF EXISTS "+schema+" CASCADE",
			// Its rights in the installation's schema go with OWNED.
			"DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = '"+role+"') THEN DROP OWNED BY "+role+"; DROP ROLE "+role+"; END IF; END $$",
			forgetting(schema),
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
	return execute(ctx, db,
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

func execute(ctx context.Context, db *sql.DB, statements ...string) error {
	for _, q := range statements {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("making schemas, roles and rights: %w", err)
		}
	}
	return nil
}
