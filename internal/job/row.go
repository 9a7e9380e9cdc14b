package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

const columns = `id, kind, tenant_id, tenant_key, actor, state, phase, share, counts, result, error, attempts, created_at, started_at, updated_at, finished_at`

func scan(row pgx.Row, more ...any) (*Job, error) {
	j := new(Job)
	var result []byte
	err := row.Scan(append([]any{
		&j.ID, &j.Kind, &j.TenantID, &j.TenantKey, &j.Actor, &j.State, &j.Phase, &j.Share, &j.Counts, &result,
		&j.Error, &j.Attempts, &j.CreatedAt, &j.StartedAt, &j.UpdatedAt, &j.FinishedAt,
	}, more...)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "there is no such job")
	}
	if err != nil {
		return nil, fmt.Errorf("reading job: %w", err)
	}
	j.Result = result
	for _, t := range []*time.Time{&j.CreatedAt, j.StartedAt, &j.UpdatedAt, j.FinishedAt} {
		if t != nil {
			*t = t.UTC().Truncate(time.Millisecond)
		}
	}
	return j, nil
}

// enter adds the row, or finds the open one of the same kind and tenant.
func enter(ctx context.Context, tx pgx.Tx, r Request) (j *Job, fresh bool, err error) {
	input, err := json.Marshal(r.Input)
	if err != nil {
		return nil, false, fmt.Errorf("encoding input of %s: %w", r.Kind, err)
	}
	if r.Input == nil {
		input = []byte("{}")
	}
	var tenant *plant.ID
	if !r.Tenant.IsZero() {
		tenant = &r.Tenant
	}
	tag, err := tx.Exec(ctx, `INSERT INTO foodflow.jobs (id, kind, tenant_id, tenant_key, actor, input) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (kind, tenant_id) WHERE state IN ('queued', 'running') DO NOTHING`, plant.NewID(), r.Kind, tenant, r.TenantKey, r.Actor, input)
	if err != nil {
		return nil, false, fmt.Errorf("entering job: %w", err)
	}
	j, err = scan(tx.QueryRow(ctx, "SELECT "+columns+` FROM foodflow.jobs
		WHERE kind = $1 AND tenant_id IS NOT DISTINCT FROM $2 AND state IN ('queued', 'running')`, r.Kind, tenant))
	return j, tag.RowsAffected() == 1, err
}

// taken is a job in the hands of a worker.
type taken struct {
	job        *Job
	step       int
	input      []byte
	checkpoint []byte
}

// take gives the job to owner if it is open and nobody holds it; nil otherwise.
func (s *Service) take(ctx context.Context, id, owner plant.ID) (t *taken, err error) {
	err = s.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		t = new(taken)
		t.job, err = scan(tx.QueryRow(ctx, `UPDATE jobs SET state = 'running', owner = $2, lease_until = now() + $3::interval,
			attempts = attempts + 1, started_at = coalesce(started_at, now()), updated_at = now()
			WHERE id = $1 AND state IN ('queued', 'running') AND (lease_until IS NULL OR lease_until < now())
			RETURNING `+columns+`, step, input, checkpoint`, id, owner, s.cfg.Lease), &t.step, &t.input, &t.checkpoint)
		if fault.KindOf(err) == fault.NotFound {
			t = nil
			return nil
		}
		return err
	})
	return t, err
}

// errLost says that the job is in other hands.
var errLost = errors.New("the job's lease is lost")

// update changes the row of a job that owner holds. set names the columns;
// its parameters begin at $3.
func (s *Service) update(ctx context.Context, id, owner plant.ID, set string, args ...any) error {
	return s.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "UPDATE jobs SET updated_at = now(), "+set+" WHERE id = $1 AND owner = $2 AND state = 'running'", append([]any{id, owner}, args...)...)
		if err != nil {
			return fmt.Errorf("writing job: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return errLost
		}
		return nil
	})
}

// Get reads a job.
func (s *Service) Get(ctx context.Context, id plant.ID) (j *Job, err error) {
	err = s.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		j, err = scan(tx.QueryRow(ctx, "SELECT "+columns+" FROM jobs WHERE id = $1", id))
		return err
	})
	return j, err
}

// Filter says which jobs are listed; what is empty doesn't matter.
type Filter struct {
	Kind   string
	State  string
	Tenant plant.ID
	// Before is the id of the last job of the page before.
	Before plant.ID
	Limit  int
}

// List gives jobs, the newest first.
func (s *Service) List(ctx context.Context, f Filter) (list []*Job, more bool, err error) {
	var tenant, before *plant.ID
	if !f.Tenant.IsZero() {
		tenant = &f.Tenant
	}
	if !f.Before.IsZero() {
		before = &f.Before
	}
	f.Limit = min(max(f.Limit, 1), 1000)
	err = s.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "SELECT "+columns+` FROM jobs
			WHERE ($1 = '' OR kind = $1) AND ($2 = '' OR state = $2) AND ($3::uuid IS NULL OR tenant_id = $3) AND ($4::uuid IS NULL OR id < $4)
			ORDER BY id DESC LIMIT $5`, f.Kind, f.State, tenant, before, f.Limit+1)
		if err != nil {
			return fmt.Errorf("listing jobs: %w", err)
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*Job, error) { return scan(row) })
		return err
	})
	if more = len(list) > f.Limit; more {
		list = list[:f.Limit]
	}
	return list, more, err
}

// orphans are the open jobs that nobody holds and that are due.
func (s *Service) orphans(ctx context.Context) (ids []plant.ID, kinds []string, err error) {
	err = s.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		ids, kinds = nil, nil
		rows, err := tx.Query(ctx, `SELECT id, kind FROM jobs WHERE state IN ('queued', 'running')
			AND (lease_until IS NULL OR lease_until < now()) AND run_at < now() - $1::interval ORDER BY id LIMIT 100`, s.cfg.Sweep)
		if err != nil {
			return fmt.Errorf("looking for orphaned jobs: %w", err)
		}
		var id plant.ID
		var kind string
		_, err = pgx.ForEachRow(rows, []any{&id, &kind}, func() error {
			ids, kinds = append(ids, id), append(kinds, kind)
			return nil
		})
		return err
	})
	return ids, kinds, err
}

// Forget removes finished jobs whose time of showing is over, and gives how
// many.
func (s *Service) Forget(ctx context.Context) (n int64, err error) {
	var periodic []string
	for _, k := range s.kinds {
		if k.Every > 0 {
			periodic = append(periodic, k.Name)
		}
	}
	err = s.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "DELETE FROM jobs WHERE finished_at < now() - $1::interval OR (kind = ANY($2) AND finished_at < now() - interval '1 day')", s.cfg.Keep, periodic)
		if err != nil {
			return fmt.Errorf("forgetting jobs: %w", err)
		}
		n = tag.RowsAffected()
		return nil
	})
	return n, err
}
