package simulate

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/foodflow/foodflow/internal/plant"
)

// The queries. Times are compared as milliseconds, so no zone comes in.
const (
	// ownIdentity says whether a row has an identity that the simulator gives:
	// a sequence number that is the interval's, at the time that follows from it.
	ownIdentity = `(seq >= 0 AND toUnixTimestamp64Milli(r.ts) = seq * {every:Array(Int64)}[indexOf({sensors:Array(UUID)}, sensor_id)]
        + {phase:Array(Int64)}[indexOf({sensors:Array(UUID)}, sensor_id)])`
	queryReadings = `SELECT sensor_id, toUnixTimestamp(toStartOfMinute(r.ts)) AS minute, ` + ownIdentity + ` AS own, count(), countIf(quality != 'bad'),
    sumIf(value, quality != 'bad'), minIf(value, quality != 'bad'), maxIf(value, quality != 'bad')
FROM readings AS r WHERE tenant_id = {tenant:UUID} AND has({sensors:Array(UUID)}, sensor_id)
    AND r.ts >= fromUnixTimestamp64Milli({from:Int64}) AND r.ts < fromUnixTimestamp64Milli({to:Int64})
GROUP BY sensor_id, minute, own`
	queryMinutes = `SELECT sensor_id, toUnixTimestamp(r.ts) AS minute, sum(count), sum(valid), sum(r.sum), min(r.min), max(r.max)
FROM readings_1m AS r WHERE tenant_id = {tenant:UUID}
    AND r.ts >= toDateTime(intDiv({from:Int64}, 1000), 'UTC') AND r.ts < toDateTime(intDiv({to:Int64}, 1000), 'UTC')
GROUP BY sensor_id, minute`
	queryDoubles = `SELECT sensor_id, 0, count() - uniqExact(_partition, _offset), countIf(` + ownIdentity + `) - uniqExactIf((r.ts, seq), ` + ownIdentity + `)
FROM readings AS r WHERE tenant_id = {tenant:UUID} AND has({sensors:Array(UUID)}, sensor_id)
    AND r.ts >= fromUnixTimestamp64Milli({from:Int64}) AND r.ts < fromUnixTimestamp64Milli({to:Int64})
GROUP BY sensor_id`
	queryEvents = `SELECT line_id, toUnixTimestamp(toStartOfMinute(e.ts)) AS minute, countIf(type = 'state'), countIf(type = 'count')
FROM line_events AS e WHERE tenant_id = {tenant:UUID}
    AND e.ts >= fromUnixTimestamp64Milli({from:Int64}) AND e.ts < fromUnixTimestamp64Milli({to:Int64})
GROUP BY line_id, minute`
	queryOEE = `SELECT line_id, toUnixTimestamp(minute) AS m, product,
    sum(no_signal_ms), sum(unscheduled_ms), sum(planned_stop_ms), sum(setup_ms), sum(cip_ms), sum(allergen_clean_ms),
    sum(breakdown_ms), sum(minor_stop_ms), sum(starved_ms), sum(blocked_ms), sum(running_ms),
    sum(planned_busy_ms), sum(run_ms), sum(total), sum(good), sum(scrap), sum(ideal_total_ms), sum(ideal_good_ms)
FROM oee_parts WHERE tenant_id = {tenant:UUID}
    AND minute >= toDateTime(intDiv({from:Int64}, 1000), 'UTC') AND minute < toDateTime(intDiv({to:Int64}, 1000), 'UTC')
GROUP BY line_id, m, product`
	queryAnomalies = `SELECT sensor_id, toUnixTimestamp64Milli(a.ts), kind
FROM anomalies AS a WHERE tenant_id = {tenant:UUID}
    AND a.ts >= fromUnixTimestamp64Milli({from:Int64}) AND a.ts < fromUnixTimestamp64Milli({to:Int64})`
)

func (t *truth) compare(ctx context.Context, ch Querier) (*Report, error) {
	r := &Report{From: t.from, To: t.to, Runs: len(t.runs)}
	for _, step := range []func(context.Context, Querier, *Report) error{
		t.compareReadings, t.compareDoubles, t.compareEvents, t.compareOEE, t.compareAnomalies,
	} {
		if err := step(ctx, ch, r); err != nil {
			return nil, err
		}
	}
	r.OK = r.Readings.same() && r.Minutes.same() && r.Events.same() && r.OEE.same() && r.Doubles == 0
	return r, nil
}

// place gives a row's cell; ok is false for what is not the simulator's.
func (t *truth) place(row []string, names map[string]string) (c cell, ok bool, err error) {
	if len(row) < 2 {
		return cell{}, false, fmt.Errorf("reading ClickHouse's answer: %d columns", len(row))
	}
	seconds, err := strconv.ParseInt(row[1], 10, 64)
	if err != nil {
		return cell{}, false, fmt.Errorf("reading ClickHouse's answer: %w", err)
	}
	key, ok := names[row[0]]
	return cell{key, seconds * 1000}, ok, nil
}

// cells asks for figures and hands over those of what names knows, by their cell;
// they stand behind so many columns.
func (t *truth) cells(ctx context.Context, ch Querier, query string, names map[string]string, columns, figures int, each func(c cell, row []string, v []float64)) error {
	rows, err := t.ask(ctx, ch, query)
	if err != nil {
		return err
	}
	for _, row := range rows {
		c, ok, err := t.place(row, names)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		v, err := numbers(row, columns, figures)
		if err != nil {
			return err
		}
		each(c, row, v)
	}
	return nil
}

func (t *truth) compareDoubles(ctx context.Context, ch Querier, r *Report) error {
	return t.cells(ctx, ch, queryDoubles, t.sensors, 2, 2, func(c cell, _ []string, v []float64) {
		if v[0] > 0 || v[1] > 0 {
			r.Doubles += int64(max(v[0], v[1]))
			r.fault("readings %s: %v rows share partition and offset with another, %v share time and sequence number", c.key, v[0], v[1])
		}
	})
}

func (t *truth) compareEvents(ctx context.Context, ch Querier, r *Report) error {
	f := &r.Events
	for _, w := range t.events {
		f.Expected += w.States + w.Counts
	}
	seen := map[cell]bool{}
	if err := t.cells(ctx, ch, queryEvents, t.lines, 2, 2, func(c cell, _ []string, v []float64) {
		if !t.covered(c.minute) {
			return
		}
		seen[c] = true
		w := t.events[c]
		f.count(w.States, int64(v[0]))
		f.count(w.Counts, int64(v[1]))
		if w.States != int64(v[0]) || w.Counts != int64(v[1]) {
			f.Wrong++
			r.fault("line_events %s %s: expected %d states and %d counts, found %v and %v", c.key, clock(c.minute), w.States, w.Counts, v[0], v[1])
		}
	}); err != nil {
		return err
	}
	for c, w := range t.events {
		if !seen[c] {
			f.Missing += w.States + w.Counts
			f.Wrong++
			r.fault("line_events %s %s: expected %d events, found none", c.key, clock(c.minute), w.States+w.Counts)
		}
	}
	return nil
}

// columns are a figure as queryOEE selects it.
func (f *figure) columns() []float64 {
	out := make([]float64, 0, plant.NumTimeClasses+7)
	for _, ms := range f.TimeMS {
		out = append(out, float64(ms))
	}
	return append(out, float64(f.BusyMS), float64(f.RunMS), f.Total, f.Good, f.Scrap, f.IdealMS, f.GoodMS)
}

func (t *truth) compareOEE(ctx context.Context, ch Querier, r *Report) error {
	f := &r.OEE
	found := map[cell]map[string][]float64{}
	if err := t.cells(ctx, ch, queryOEE, t.lines, 3, plant.NumTimeClasses+7, func(c cell, row []string, v []float64) {
		if t.oee[c] == nil {
			return // not settled yet
		}
		if found[c] == nil {
			found[c] = map[string][]float64{}
		}
		found[c][row[2]] = v
	}); err != nil {
		return err
	}
	for c, products := range t.oee {
		f.Expected += int64(len(products))
		for product, want := range products {
			got := found[c][product]
			delete(found[c], product)
			switch {
			case got == nil:
				f.Missing++
				f.Wrong++
				r.fault("oee_parts %s %s %q: expected %v, found none", c.key, clock(c.minute), product, want.columns())
			case !equal(want.columns(), got):
				f.Found++
				f.Wrong++
				r.fault("oee_parts %s %s %q: expected %v, found %v", c.key, clock(c.minute), product, want.columns(), got)
			default:
				f.Found++
			}
		}
		for product, got := range found[c] {
			if !equal(make([]float64, len(got)), got) {
				f.Extra++
				f.Wrong++
				r.fault("oee_parts %s %s %q: expected none, found %v", c.key, clock(c.minute), product, got)
			}
		}
	}
	return nil
}

func equal(a, b []float64) bool {
	for i := range a {
		if !near(a[i], b[i]) {
			return false
		}
	}
	return len(a) == len(b)
}

// near takes sums of the same numbers in another order for the same.
func near(a, b float64) bool {
	return math.Abs(a-b) <= 1e-9*max(1, math.Abs(a), math.Abs(b))
}

func clock(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04Z") }
