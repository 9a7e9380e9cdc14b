package api

import (
	"context"
	"sync"

	"github.com/foodflow/foodflow/clickhouse/query"
	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/plant"
)

// fakeReadings stands for ClickHouse; the read models themselves are tested on
// the engine in clickhouse/query.
type fakeReadings struct {
	mu      sync.Mutex // guards asked
	raw     []query.Reading
	parts   []query.OEEParts
	states  []query.LineState
	minutes []query.OEEParts
	last    query.ReadingsQuery
	oee     query.OEEQuery // the last
	asked   []plant.ID
	err     error
}

func (f *fakeReadings) Readings(_ context.Context, q query.ReadingsQuery) ([]query.Reading, bool, error) {
	f.last, f.asked = q, append(f.asked, q.Tenant)
	var out []query.Reading
	for _, r := range f.raw {
		if q.After == nil || r.Offset > q.After.Offset {
			out = append(out, r)
		}
	}
	return out[:min(q.Limit, len(out))], len(out) > q.Limit, f.err
}

func (f *fakeReadings) Buckets(_ context.Context, _ query.Resolution, q query.ReadingsQuery) ([]query.Bucket, bool, error) {
	f.last, f.asked = q, append(f.asked, q.Tenant)
	return []query.Bucket{}, false, f.err
}

func (f *fakeReadings) Anomalies(_ context.Context, q query.AnomaliesQuery) ([]query.Anomaly, bool, error) {
	f.asked = append(f.asked, q.Tenant)
	return []query.Anomaly{{ID: plant.NewID(), Sensor: demo.ID("sensor", demo.MachineTemperature), Kind: "deviation", Score: 1}}, false, f.err
}

// OEE gives parts as they are, or sums minutes as ClickHouse would.
func (f *fakeReadings) OEE(_ context.Context, q query.OEEQuery) ([]query.OEEParts, error) {
	f.mu.Lock()
	f.asked, f.oee = append(f.asked, q.Tenant), q
	f.mu.Unlock()
	if f.minutes == nil {
		return f.parts, f.err
	}
	out := []query.OEEParts{}
	for _, m := range f.minutes {
		if m.TS < q.From || m.TS >= q.To {
			continue
		}
		if ts := m.TS - m.TS%max(q.BucketMS, 1); q.BucketMS == 0 && len(out) == 0 || q.BucketMS > 0 && (len(out) == 0 || out[len(out)-1].TS != ts) {
			out = append(out, query.OEEParts{TS: ts})
		}
		o := &out[len(out)-1]
		for to, v := range map[*int64]int64{
			&o.NoSignal: m.NoSignal, &o.Unscheduled: m.Unscheduled, &o.PlannedStop: m.PlannedStop, &o.Setup: m.Setup, &o.CIP: m.CIP, &o.AllergenClean: m.AllergenClean,
			&o.Breakdown: m.Breakdown, &o.MinorStop: m.MinorStop, &o.Starved: m.Starved, &o.Blocked: m.Blocked, &o.Running: m.Running, &o.PlannedBusy: m.PlannedBusy, &o.Run: m.Run,
		} {
			*to += v
		}
	}
	return out, f.err
}

func (f *fakeReadings) LineStates(_ context.Context, tenant, _ plant.ID, from, to int64) (out []query.LineState, err error) {
	f.mu.Lock()
	f.asked = append(f.asked, tenant)
	f.mu.Unlock()
	for _, x := range f.states {
		if x.TS < from {
			out = out[:0]
		}
		if x.TS < to {
			out = append(out, x)
		}
	}
	return out, f.err
}

func (f *fakeReadings) Latest(_ context.Context, tenant, _ plant.ID) (query.Reading, bool, error) {
	f.asked = append(f.asked, tenant)
	if len(f.raw) == 0 {
		return query.Reading{}, false, f.err
	}
	return f.raw[len(f.raw)-1], true, f.err
}

func (f *fakeReadings) Ping(context.Context) error { return f.err }

type fakeRecorder struct {
	readings []plant.Reading
	events   []plant.LineEvent
	err      error
}

func (f *fakeRecorder) Readings(_ context.Context, r []plant.Reading) error {
	f.readings = append(f.readings, r...)
	return f.err
}

func (f *fakeRecorder) LineEvents(_ context.Context, e []plant.LineEvent) error {
	f.events = append(f.events, e...)
	return f.err
}
