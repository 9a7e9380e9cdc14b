package testkit

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Catalog is what a Postgres says of a schema: columns with types and defaults,
// relations, constraints, indexes, triggers, policies and functions, a line each.
// It is the oracle of what migrations left; goose's own table is left out, and so
// is the schema's name, so that two tenants can be compared.
func Catalog(t testing.TB, url, schema string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	rows, err := conn.Query(t.Context(), catalog, schema)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(strings.Join(lines, "\n"), schema+".", "")
}

const catalog = `
	WITH rel AS (SELECT c.* FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1::text AND c.relname NOT LIKE 'goose_db_version%')
	SELECT format('column %s.%s %s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, pg_get_expr(d.adbin, d.adrelid))
		FROM rel c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
		WHERE c.relkind IN ('r', 'p', 'v')
	UNION ALL SELECT format('relation %s %s %s', c.relname, c.relkind, c.relrowsecurity) FROM rel c
	UNION ALL SELECT format('constraint %s %s %s', c.relname, o.conname, pg_get_constraintdef(o.oid)) FROM pg_constraint o JOIN rel c ON c.oid = o.conrelid
	UNION ALL SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN rel c ON c.oid = i.indrelid
	UNION ALL SELECT pg_get_triggerdef(g.oid) FROM pg_trigger g JOIN rel c ON c.oid = g.tgrelid WHERE NOT g.tgisinternal
	UNION ALL SELECT format('policy %s %s %s %s %s', tablename, policyname, cmd, qual, with_check) FROM pg_policies WHERE schemaname = $1::text
	UNION ALL SELECT pg_get_functiondef(p.oid) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = $1::text
	ORDER BY 1`
