package masterdata

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
)

// RevocationKept is how long a revocation stands in the directory. No access
// token lives as long, which package auth holds.
const RevocationKept = 2 * time.Hour

// revoke has the directory refuse access tokens of a user that were made for a
// version below, or, where below is 0, all of a user or a log-in. Versions and
// not times are compared: no two processes have the same clock.
func (w *writing) revoke(ctx context.Context, id plant.ID, below int64) error {
	if err := w.tx.QueryRow(ctx, `INSERT INTO foodflow.revocations AS r (id, tenant_id, below, until) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET below = CASE WHEN 0 IN (r.below, excluded.below) THEN 0 ELSE greatest(r.below, excluded.below) END,
			until = greatest(r.until, excluded.until)
		RETURNING below`, id, w.who.Tenant, below, w.now.Add(RevocationKept)).Scan(&below); err != nil {
		return fmt.Errorf("entering revocation: %w", err)
	}
	version := below
	if version == 0 {
		version = 1 << 62
	}
	if err := w.publish(ctx, directory.KindRevocation, id, version, directory.Revocation{ID: id, Tenant: w.who.Tenant, Below: below}); err != nil {
		return err
	}
	return w.wake(ctx)
}

// forgetRevocations takes those out of the directory whose tokens have ended. A
// revocation that comes at the same time waits for the row, so its entry follows
// the tombstone.
func forgetRevocations(ctx context.Context, tx pgx.Tx, now time.Time) error {
	if _, err := tx.Exec(ctx, `WITH gone AS (DELETE FROM revocations WHERE until < $1 RETURNING id, tenant_id)
		INSERT INTO outbox (tenant_id, kind, subject_kind, subject_id, version) SELECT tenant_id, 'tombstone', $2, id, 0 FROM gone`,
		now, directory.KindRevocation); err != nil {
		return fmt.Errorf("forgetting revocations: %w", err)
	}
	return nil
}
