package migrate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/foodflow/foodflow/internal/job"
	"github.com/foodflow/foodflow/migrations"
)

// Versions are those of the two kinds of schema; a negative one leaves its kind
// as it is.
type Versions struct{ Shared, Tenants int64 }

// Undone are the schemas, as they are, that Down would change.
func (m *Migrator) Undone(ctx context.Context, to Versions) ([]Status, error) {
	all, err := m.Status(ctx)
	if err != nil {
		return nil, err
	}
	if to.Shared == 0 && len(all) > 1 {
		return nil, errors.New("undoing migrations: the installation's schema holds the list of tenants; delete them first")
	}
	var out []Status
	for i, s := range all {
		want := to.Tenants
		if i == 0 {
			want = to.Shared
		}
		if want >= 0 && s.At > want {
			s.Target = want
			out = append(out, s)
		}
	}
	return out, nil
}

// Down undoes migrations: the tenants' first, then the installation's, each
// schema's in a transaction a migration. What a migration had added is gone with
// the rows in it. It goes past failing tenants as Up does, but leaves the
// installation's schema as it is then.
func (m *Migrator) Down(ctx context.Context, to Versions, progress func(done, total int)) error {
	undone, err := m.Undone(ctx, to)
	if err != nil {
		return err
	}
	shared := len(undone) > 0 && undone[0].Schema == SharedSchema
	tenants := undone
	if shared {
		tenants = undone[1:]
	}
	err = m.each(ctx, tenants, progress, func(ctx context.Context, s Status) error { return m.down(ctx, s.Schema, m.tenantFiles, s.Target) })
	if err != nil || !shared {
		return err
	}
	if to.Shared == 0 {
		if err := m.withoutJobs(ctx); err != nil {
			return err
		}
	}
	if err := m.down(ctx, SharedSchema, migrations.Shared(), to.Shared); err != nil {
		return fmt.Errorf("migrating schema %s: %w", SharedSchema, err)
	}
	return nil
}

// down undoes one schema's migrations above a version.
func (m *Migrator) down(ctx context.Context, schema string, files fs.FS, to int64) error {
	db := m.open(schema)
	defer db.Close()
	p, err := provider(db, schema, files)
	if err != nil {
		return err
	}
	results, err := p.DownTo(ctx, to)
	if err != nil {
		return err
	}
	m.log.DebugContext(ctx, "schema migrated", "schema", schema, "undone", len(results))
	return nil
}

// withoutJobs takes River's tables away.
func (m *Migrator) withoutJobs(ctx context.Context) error {
	pool, err := m.pool(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	return job.Unmigrate(ctx, pool, m.log)
}
