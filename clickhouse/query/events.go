package query

import (
	"context"

	"github.com/foodflow/foodflow/internal/plant"
)

// LineEventsQuery asks for the events of a line, oldest first.
type LineEventsQuery struct {
	Tenant, Line plant.ID
	Type         string // state or count; "" is both
	From, To     int64
	Limit        int
	After        *LineEventKey
}

// LineEventKey places an event in its list.
type LineEventKey struct {
	TS int64
	ID plant.ID
}

// LineEvent is one event; State and Reason belong to type state, the figures to
// type count.
type LineEvent struct {
	ID        plant.ID `json:"event_id"`
	TS        int64    `json:"ts"`
	Type      string   `json:"type"`
	State     string   `json:"state"`
	Reason    string   `json:"reason"`
	Product   string   `json:"product"`
	Good      float64  `json:"good"`
	Scrap     float64  `json:"scrap"`
	Rework    float64  `json:"rework"`
	Unit      string   `json:"unit"`
	Partition int32    `json:"_partition"`
	Offset    int64    `json:"_offset"`
}

// Key places the event.
func (e *LineEvent) Key() LineEventKey { return LineEventKey{e.TS, e.ID} }

// LineEvents reads a page of events; more says that another follows.
func (r *Reader) LineEvents(ctx context.Context, q LineEventsQuery) (list []LineEvent, more bool, err error) {
	p := params{"tenant": q.Tenant, "line": q.Line, "type": q.Type, "from": q.From, "to": q.To, "limit": q.Limit + 1, "ts": q.From - 1, "id": plant.ID{}}
	if q.After != nil {
		p["ts"], p["id"] = q.After.TS, q.After.ID
	}
	list, err = rows[LineEvent](ctx, r, `
		SELECT event_id, toUnixTimestamp64Milli(e.ts) AS ts, type, state, reason, product, good, scrap, rework, unit, _partition, _offset
		FROM line_events AS e
		WHERE tenant_id = {tenant:UUID} AND line_id = {line:UUID}
			AND e.ts >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND e.ts < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
			AND e.ts >= fromUnixTimestamp64Milli({ts:Int64}, 'UTC')
			AND (toUnixTimestamp64Milli(e.ts), event_id) > ({ts:Int64}, {id:UUID})
			AND ({type:String} = '' OR type = {type:String})
		ORDER BY e.ts, event_id
		LIMIT {limit:UInt32}`, p)
	list, more = page(list, q.Limit)
	return list, more, err
}
