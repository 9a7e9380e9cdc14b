package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/foodflow/foodflow/internal/doctor"
	"github.com/foodflow/foodflow/internal/postgres"
)

// each does work for some tenants, Config.Parallel at a time, goes on past those
// that fail and names them in its error. It gives up only when Postgres itself is
// away.
func (m *Migrator) each(ctx context.Context, some []Status, progress func(done, total int), work func(context.Context, Status) error) error {
	var mu sync.Mutex // guards done, failed and the calls of progress
	var failed []error
	done := 0
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(m.cfg.Parallel)
	for _, s := range some {
		g.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			err := work(ctx, s)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case errors.Is(err, errGone):
				err = nil
			case err != nil && postgres.Unavailable(err) && !m.answers(ctx):
				return fmt.Errorf("migrating tenant %s: %w", s.Tenant, err)
			case err != nil:
				err = fmt.Errorf("tenant %s: %w", s.Tenant, m.noted(ctx, s.Schema, err))
			}
			mu.Lock()
			defer mu.Unlock()
			done++
			if err != nil {
				failed = append(failed, err)
			}
			if progress != nil {
				progress(done, len(some))
			}
			return nil
		})
	}
	err := g.Wait()
	if err != nil {
		return fmt.Errorf("%d of %d tenants were done: %w", done-len(failed), len(some), err)
	}
	return summary(failed, len(some))
}

// summary names as many of those that failed as a person reads.
func summary(failed []error, of int) error {
	if len(failed) == 0 {
		return nil
	}
	const most = 10
	var b strings.Builder
	for i, err := range failed {
		if i == most {
			fmt.Fprintf(&b, "; and %d more", len(failed)-most)
			break
		}
		fmt.Fprintf(&b, "; %s", doctor.Redacted(err))
	}
	return fmt.Errorf("%d of %d tenants failed%s", len(failed), of, b.String())
}

// answers reports whether Postgres lets anybody in.
func (m *Migrator) answers(ctx context.Context) bool {
	db := m.open(SharedSchema)
	defer db.Close()
	return db.PingContext(ctx) == nil
}

// noted keeps why a schema failed for Status, as far as that can be written, and
// gives the error back.
func (m *Migrator) noted(ctx context.Context, schema string, err error) error {
	if ctx.Err() != nil || errors.Is(err, errGone) {
		return err
	}
	db := m.open(SharedSchema)
	defer db.Close()
	_, lost := db.ExecContext(ctx, `INSERT INTO foodflow.migration_failures (schema_name, error) VALUES ($1, $2)
		ON CONFLICT (schema_name) DO UPDATE SET error = excluded.error, failed_at = now()`, schema, doctor.Redacted(err))
	if lost != nil {
		m.log.WarnContext(ctx, "what failed can't be noted", "schema", schema, "error", lost)
	}
	return err
}

// forget takes back what noted kept.
func forget(ctx context.Context, db *sql.DB, schema string) error {
	return execute(ctx, db, forgetting(schema))
}

// forgetting is the statement for it. The table is younger than other tables of
// its schema.
func forgetting(schema string) string {
	return "DO $$ BEGIN IF to_regclass('foodflow.migration_failures') IS NOT NULL THEN DELETE FROM foodflow.migration_failures WHERE schema_name = '" + schema + "'; END IF; END $$"
}

// failures adds to laggards why their last try failed.
func failures(ctx context.Context, db *sql.DB, all []Status) error {
	var there bool
	if err := db.QueryRowContext(ctx, "SELECT to_regclass('foodflow.migration_failures') IS NOT NULL").Scan(&there); err != nil || !there {
		return err
	}
	rows, err := db.QueryContext(ctx, "SELECT schema_name, error, failed_at FROM foodflow.migration_failures")
	if err != nil {
		return fmt.Errorf("reading failures: %w", err)
	}
	defer rows.Close()
	noted := map[string]Status{}
	for rows.Next() {
		var s Status
		if err := rows.Scan(&s.Schema, &s.Error, &s.FailedAt); err != nil {
			return fmt.Errorf("reading failures: %w", err)
		}
		noted[s.Schema] = s
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading failures: %w", err)
	}
	for i := range all {
		if f, ok := noted[all[i].Schema]; ok && all[i].Lags() {
			all[i].Error, all[i].FailedAt = f.Error, f.FailedAt
		}
	}
	return nil
}
