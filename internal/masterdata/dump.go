package masterdata

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
)

// withheld are the columns that leave Postgres for no one: what checks a secret.
func withheld(table string) string {
	return map[string]string{"users": "password_hash", "api_keys": "hash"}[table]
}

// passing are the tables of a tenant's schema that are bookkeeping of the
// moment, not the tenant's data.
func passing() []string { return []string{"goose_db_version", "idempotency"} }

// Withheld names what Dump leaves out.
func Withheld() []string { return []string{"users.password_hash", "api_keys.hash", "idempotency"} }

// dumpPage is how many rows one statement reads, so that each ends within the
// bound of a statement.
const dumpPage = 2000

// Dump reads all of a tenant's tables as of one moment. begin is called with
// each table's name and gives what takes its rows, as JSON objects.
func (s *Store) Dump(ctx context.Context, tenant plant.ID, begin func(table string) (row func(text []byte) error, err error)) error {
	return s.read(ctx, tenant, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
			return fmt.Errorf("beginning to dump: %w", err)
		}
		tables, err := tablesOf(ctx, tx, tenant)
		if err != nil {
			return err
		}
		for _, table := range tables {
			if slices.Contains(passing(), table) {
				continue
			}
			take, err := begin(table)
			if err != nil {
				return err
			}
			if err := dumpTable(ctx, tx, table, take); err != nil {
				return fmt.Errorf("dumping %s: %w", table, err)
			}
		}
		return nil
	})
}

func dumpTable(ctx context.Context, tx pgx.Tx, table string, take func([]byte) error) error {
	row := "to_jsonb(t)"
	if column := withheld(table); column != "" {
		row += " - '" + column + "'"
	}
	if _, err := tx.Exec(ctx, "DECLARE dump NO SCROLL CURSOR FOR SELECT ("+row+")::text FROM "+pgx.Identifier{table}.Sanitize()+" t"); err != nil {
		return fmt.Errorf("opening: %w", err)
	}
	for {
		rows, err := tx.Query(ctx, fmt.Sprintf("FETCH %d FROM dump", dumpPage))
		if err != nil {
			return fmt.Errorf("reading: %w", err)
		}
		var text string
		tag, err := pgx.ForEachRow(rows, []any{&text}, func() error { return take([]byte(text)) })
		if err != nil {
			return fmt.Errorf("reading: %w", err)
		}
		if tag.RowsAffected() == 0 {
			break
		}
	}
	if _, err := tx.Exec(ctx, "CLOSE dump"); err != nil {
		return fmt.Errorf("closing: %w", err)
	}
	return nil
}

// tablesOf lists the tables of a tenant's schema.
func tablesOf(ctx context.Context, tx pgx.Tx, tenant plant.ID) ([]string, error) {
	rows, err := tx.Query(ctx, "SELECT tablename::text FROM pg_tables WHERE schemaname = $1 ORDER BY tablename", postgres.Schema(tenant))
	if err != nil {
		return nil, fmt.Errorf("listing tables: %w", err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("listing tables: %w", err)
	}
	return tables, nil
}

// Count gives the number of rows in each table of a tenant's schema; none when
// there is no such schema.
func (s *Store) Count(ctx context.Context, tenant plant.ID) (counts map[string]int64, err error) {
	err = s.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tables, err := tablesOf(ctx, tx, tenant)
		if err != nil {
			return err
		}
		counts, err = countEach(ctx, tx, tables, func(table string) string { return postgres.Schema(tenant) + "." + pgx.Identifier{table}.Sanitize() })
		return err
	})
	return counts, err
}

// CountShared gives the number of a tenant's rows in each table of the
// installation's schema. Its jobs and the report of its deletion stay and are
// not counted.
func (s *Store) CountShared(ctx context.Context, tenant plant.ID) (counts map[string]int64, err error) {
	err = s.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		// Found, not listed, so that a table that is added later is not forgotten.
		rows, err := tx.Query(ctx, `SELECT table_name::text FROM information_schema.columns
			WHERE table_schema = 'foodflow' AND column_name = 'tenant_id' AND table_name <> ALL ('{jobs,deletions}') ORDER BY table_name`)
		if err != nil {
			return fmt.Errorf("listing tables: %w", err)
		}
		tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return fmt.Errorf("listing tables: %w", err)
		}
		if counts, err = countEach(ctx, tx, tables, func(table string) string {
			return "foodflow." + pgx.Identifier{table}.Sanitize() + " WHERE tenant_id = '" + tenant.String() + "'"
		}); err != nil {
			return err
		}
		row, err := countEach(ctx, tx, []string{"tenants"}, func(string) string { return "foodflow.tenants WHERE id = '" + tenant.String() + "'" })
		counts["tenants"] = row["tenants"]
		return err
	})
	return counts, err
}

func countEach(ctx context.Context, tx pgx.Tx, tables []string, from func(string) string) (map[string]int64, error) {
	counts := make(map[string]int64, len(tables))
	if len(tables) == 0 {
		return counts, nil
	}
	// One statement for all: a moment, and one round trip.
	var parts []string
	for i, t := range tables {
		parts = append(parts, fmt.Sprintf("SELECT %d AS i, count(*) AS n FROM %s", i, from(t)))
	}
	rows, err := tx.Query(ctx, strings.Join(parts, " UNION ALL "))
	if err != nil {
		return nil, fmt.Errorf("counting rows: %w", err)
	}
	var i, n int64
	if _, err := pgx.ForEachRow(rows, []any{&i, &n}, func() error {
		counts[tables[i]] = n
		return nil
	}); err != nil {
		return nil, fmt.Errorf("counting rows: %w", err)
	}
	return counts, nil
}
