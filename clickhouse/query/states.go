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

// LineStates reads the states of a line that hold in [from, to), oldest first:
// those that it entered then, and the one that it was in at from. A span with
// more than maxStates is cut at its end.
func (r *Reader) LineStates(ctx context.Context, tenant, line plant.ID, from, to int64) ([]LineState, error) {
	// The one before is found backwards from the key, a part at a time.
	return rows[LineState](ctx, r, `
		SELECT toUnixTimestamp64Milli(s.ts) AS ts, state, reason FROM (
			SELECT * FROM (
				SELECT e.ts, event_id, state, reason FROM line_events AS e
				WHERE tenant_id = {tenant:UUID} AND line_id = {line:UUID} AND type = 'state' AND e.ts < fromUnixTimestamp64Milli({from:Int64}, 'UTC')
				ORDER BY e.ts DESC, event_id DESC LIMIT 1)
			UNION ALL
			SELECT * FROM (
				SELECT e.ts, event_id, state, reason FROM line_events AS e
				WHERE tenant_id = {tenant:UUID} AND line_id = {line:UUID} AND type = 'state'
					AND e.ts >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND e.ts < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
				ORDER BY e.ts, event_id LIMIT {limit:UInt32})
		) AS s
		ORDER BY s.ts, s.event_id
		LIMIT 1 BY s.event_id`, params{"tenant": tenant, "line": line, "from": from, "to": to, "limit": maxStates})
}
