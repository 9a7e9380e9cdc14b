package masterdata

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/fault"
)

// noCycle refuses a reason that has become its own ancestor. Writers are alone,
// so no two changes can close a circle between them.
func noCycle(ctx context.Context, tx pgx.Tx, x *StopReason) error {
	if x.ParentID == nil {
		return nil
	}
	var cycle bool
	if err := tx.QueryRow(ctx, `WITH RECURSIVE up AS (
			SELECT id, parent_id FROM stop_reasons WHERE id = $1
			UNION SELECT r.id, r.parent_id FROM stop_reasons r JOIN up ON r.id = up.parent_id)
		SELECT count(*) FILTER (WHERE parent_id = $1) > 0 FROM up`, x.ID).Scan(&cycle); err != nil {
		return fmt.Errorf("looking for a cycle: %w", err)
	}
	if cycle {
		return fault.NewInvalid(fault.Item{Location: "parent_id", Rule: "cycle", Message: "would make the reason a part of itself"})
	}
	return nil
}
