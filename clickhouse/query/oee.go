package query

import (
	"context"
	"fmt"

	"github.com/foodflow/foodflow/internal/plant"
)

// OEEQuery asks for the OEE parts of a line, summed over buckets of a span.
type OEEQuery struct {
	Tenant, Line plant.ID
	From, To     int64
	// BucketMS is the length of a bucket in milliseconds, a multiple of a
	// minute; 0 makes one bucket of the whole span.
	BucketMS int64
	// ByProduct keeps products apart.
	ByProduct bool
}

// OEEParts is the sum of the parts of one bucket.
type OEEParts struct {
	TS            int64   `json:"ts"` // start of the bucket
	Product       string  `json:"product"`
	NoSignal      int64   `json:"no_signal_ms"`
	Unscheduled   int64   `json:"unscheduled_ms"`
	PlannedStop   int64   `json:"planned_stop_ms"`
	Setup         int64   `json:"setup_ms"`
	CIP           int64   `json:"cip_ms"`
	AllergenClean int64   `json:"allergen_clean_ms"`
	Breakdown     int64   `json:"breakdown_ms"`
	MinorStop     int64   `json:"minor_stop_ms"`
	Starved       int64   `json:"starved_ms"`
	Blocked       int64   `json:"blocked_ms"`
	Running       int64   `json:"running_ms"`
	PlannedBusy   int64   `json:"planned_busy_ms"`
	Run           int64   `json:"run_ms"`
	IdealTotal    float64 `json:"ideal_total_ms"`
	IdealGood     float64 `json:"ideal_good_ms"`
	Total         float64 `json:"total"`
	Good          float64 `json:"good"`
	Scrap         float64 `json:"scrap"`
	StartupScrap  float64 `json:"startup_scrap"`
	Rework        float64 `json:"rework"`
	Units         string  `json:"units"`     // the units counted, by comma
	Policies      string  `json:"policies"`  // the policy versions, by comma
	Revisions     int64   `json:"revisions"` // parts that revise an earlier one
}

// Times gives the time in each class, by its number.
func (p *OEEParts) Times() (ms [plant.NumTimeClasses]int64) {
	for c, v := range map[plant.TimeClass]int64{
		plant.ClassNoSignal: p.NoSignal, plant.ClassUnscheduled: p.Unscheduled, plant.ClassPlannedStop: p.PlannedStop, plant.ClassSetup: p.Setup,
		plant.ClassCIP: p.CIP, plant.ClassAllergenClean: p.AllergenClean, plant.ClassBreakdown: p.Breakdown, plant.ClassMinorStop: p.MinorStop,
		plant.ClassStarved: p.Starved, plant.ClassBlocked: p.Blocked, plant.ClassRunning: p.Running,
	} {
		ms[c] = v
	}
	return ms
}

// OEE reads the sums, oldest bucket first.
func (r *Reader) OEE(ctx context.Context, q OEEQuery) ([]OEEParts, error) {
	if q.BucketMS < 0 || q.BucketMS%60_000 != 0 {
		return nil, fmt.Errorf("querying clickhouse: %d ms is no multiple of a minute", q.BucketMS)
	}
	p := params{"tenant": q.Tenant, "line": q.Line, "from": q.From, "to": q.To, "bucket": q.BucketMS / 1000, "product": 0}
	if q.ByProduct {
		p["product"] = 1
	}
	return rows[OEEParts](ctx, r, `
		SELECT toInt64(if({bucket:UInt32} = 0, intDiv({from:Int64}, 1000), intDiv(toUnixTimestamp(o.minute), greatest({bucket:UInt32}, 1)) * {bucket:UInt32})) * 1000 AS ts,
			if({product:UInt8} = 1, toString(o.product), '') AS product,
			sum(o.no_signal_ms) AS no_signal_ms, sum(o.unscheduled_ms) AS unscheduled_ms, sum(o.planned_stop_ms) AS planned_stop_ms,
			sum(o.setup_ms) AS setup_ms, sum(o.cip_ms) AS cip_ms, sum(o.allergen_clean_ms) AS allergen_clean_ms,
			sum(o.breakdown_ms) AS breakdown_ms, sum(o.minor_stop_ms) AS minor_stop_ms, sum(o.starved_ms) AS starved_ms,
			sum(o.blocked_ms) AS blocked_ms, sum(o.running_ms) AS running_ms,
			sum(o.planned_busy_ms) AS planned_busy_ms, sum(o.run_ms) AS run_ms,
			sum(o.ideal_total_ms) AS ideal_total_ms, sum(o.ideal_good_ms) AS ideal_good_ms,
			sum(o.total) AS total, sum(o.good) AS good, sum(o.scrap) AS scrap, sum(o.startup_scrap) AS startup_scrap, sum(o.rework) AS rework,
			arrayStringConcat(arraySort(groupUniqArrayIf(toString(o.unit), o.unit != '')), ',') AS units,
			arrayStringConcat(arraySort(groupUniqArray(toString(o.policy))), ',') AS policies,
			toInt64(countIf(o.revision > 0)) AS revisions
		FROM oee_parts AS o
		WHERE tenant_id = {tenant:UUID} AND line_id = {line:UUID}
			AND o.minute >= toDateTime(intDiv({from:Int64} + 999, 1000), 'UTC') AND o.minute < toDateTime(intDiv({to:Int64} + 999, 1000), 'UTC')
		GROUP BY ts, product
		ORDER BY ts, product`, p)
}
