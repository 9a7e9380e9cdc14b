package masterdata

import (
	"context"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// TestNoKeyLiesInPostgres (S9): every row of every table of the database is read
// as text, as a dump would hold it, and searched for the clear key.
func TestNoKeyLiesInPostgres(t *testing.T) {
	f := newFixture(t)
	who := f.tenant("acme")
	_, key, err := f.APIKeys().Create(t.Context(), who, APIKeyFields{Name: "k", Scopes: []string{"ingest"}})
	if err != nil {
		t.Fatal(err)
	}
	clear := key.Reveal()
	secret := clear[strings.LastIndex(clear, "_")+1:]
	rows, hits, control := 0, 0, 0
	if err := f.db.InShared(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		found, err := tx.Query(ctx, "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')")
		if err != nil {
			return err
		}
		tables, err := pgx.CollectRows(found, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, table := range tables {
			r, err := tx.Query(ctx, "SELECT t::text FROM "+table+" t")
			if err != nil {
				return err
			}
			var text string
			if _, err := pgx.ForEachRow(r, []any{&text}, func() error {
				rows++
				if strings.Contains(text, secret) || strings.Contains(text, hex.EncodeToString([]byte(secret))) {
					hits++
					t.Errorf("%s holds the key: %.200s", table, text)
				}
				if strings.Contains(text, key.Public) {
					control++
				}
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	t.Logf("rows searched %d, hits %d", rows, hits)
	// The control: the public part is found where it must be.
	if control < 3 {
		t.Errorf("the public part was found in %d rows, so the search proves nothing", control)
	}
}
