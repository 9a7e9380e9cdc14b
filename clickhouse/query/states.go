package query

import (
	"context"

	"github.com/foodflow/foodflow/internal/plant"
)

// LineState is a state that a line entered.
type LineState struct {
	TS     int64  `json:"ts"`
	State  string `json:"state"`
	Reason string `json:"reason"`
}

// maxStates bounds the states of one answer: one every four seconds of a day.
const maxStates = 20_000

// lookBack is how far before a span the state at its beginning is looked for
// first: most lines change their state within it, and one plain statement is
// cheaper than two.
const lookBack = 60 * 60_000

// LineStates reads the states of a line that hold in [from, to), oldest first:
// those that it entered then, and before them at least the one that it was in at
// from. A span with
// more than maxStates is cut at its end.
func (r *Reader) LineStates(ctx context.Context, tenant, line plant.ID, from, to int64) ([]LineState, error) {
	list, err := r.states(ctx, tenant, line, max(from-lookBack, 0), to, "ORDER BY e.ts, event_id", maxStates)
	if err != nil {
		return nil, err
	}
	if len(list) > 0 && list[0].TS <= from {
		return list, nil
	}
	// Found backwards from the key, a part at a time.
	before, err := r.states(ctx, tenant, line, 0, from, "ORDER BY e.ts DESC, event_id DESC", 1)
	return append(before, list...), err
}

func (r *Reader) states(ctx context.Context, tenant, line plant.ID, from, to int64, order string, limit int) ([]LineState, error) {
	return rows[LineState](ctx, r, `
		SELECT toUnixTimestamp64Milli(e.ts) AS ts, state, reason FROM line_events AS e
		WHERE tenant_id = {tenant:UUID} AND line_id = {line:UUID} AND type = 'state'
			AND e.ts >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND e.ts < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
		`+order+`
		LIMIT {limit:UInt32}`, params{"tenant": tenant, "line": line, "from": from, "to": to, "limit": limit})
}
