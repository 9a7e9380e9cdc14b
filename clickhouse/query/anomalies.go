package query

import (
	"context"

	"github.com/foodflow/foodflow/internal/plant"
)

// AnomaliesQuery asks for anomalies, newest first. Zero ids, an empty kind and
// score 0 are no condition.
type AnomaliesQuery struct {
	Tenant, Line, Sensor plant.ID
	Kind                 string
	MinScore             float64
	From, To             int64
	Limit                int
	After                *AnomalyKey
}

// AnomalyKey places an anomaly in its list.
type AnomalyKey struct {
	TS int64
	ID plant.ID
}

// Anomaly is one finding.
type Anomaly struct {
	ID       plant.ID `json:"anomaly_id"`
	Line     plant.ID `json:"line_id"`
	Sensor   plant.ID `json:"sensor_id"`
	Kind     string   `json:"kind"`
	TS       int64    `json:"ts"`
	Since    int64    `json:"since"`
	Value    float64  `json:"value"`
	Expected float64  `json:"expected"`
	Score    float64  `json:"score"`
}

// Anomalies reads a page of anomalies.
func (r *Reader) Anomalies(ctx context.Context, q AnomaliesQuery) (list []Anomaly, more bool, err error) {
	p := params{
		"tenant": q.Tenant, "line": q.Line, "sensor": q.Sensor, "kind": q.Kind, "score": q.MinScore,
		"from": q.From, "to": q.To, "limit": q.Limit + 1, "ts": q.To, "id": plant.ID{},
	}
	if q.After != nil {
		p["ts"], p["id"] = q.After.TS, q.After.ID
	}
	// Copies of an anomaly under one id are one: its key is derived from the
	// source's position, so a replay that got past the token is folded here.
	list, err = rows[Anomaly](ctx, r, `
		SELECT anomaly_id, line_id, sensor_id, kind, toUnixTimestamp64Milli(a.ts) AS ts, toUnixTimestamp64Milli(a.since) AS since, value, expected, score
		FROM anomalies AS a
		WHERE tenant_id = {tenant:UUID}
			AND a.ts >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND a.ts < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
			AND a.ts <= fromUnixTimestamp64Milli({ts:Int64}, 'UTC')
			AND (toUnixTimestamp64Milli(a.ts), anomaly_id) < ({ts:Int64}, {id:UUID})
			AND ({line:UUID} = toUUID('00000000-0000-0000-0000-000000000000') OR line_id = {line:UUID})
			AND ({sensor:UUID} = toUUID('00000000-0000-0000-0000-000000000000') OR sensor_id = {sensor:UUID})
			AND ({kind:String} = '' OR kind = {kind:String}) AND score >= {score:Float64}
		ORDER BY a.ts DESC, anomaly_id DESC
		LIMIT 1 BY anomaly_id
		LIMIT {limit:UInt32}`, p)
	list, more = page(list, q.Limit)
	return list, more, err
}
