package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/query"
	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
)

// The plant of the reads: so many sensors, a reading each every five seconds,
// and so many lines with a part a minute for thirty days.
const (
	readSensors = 1000
	readLines   = 50
	readClients = 2
	readsEach   = 250
)

// apiReads measures what a dashboard asks for over a table of Env.Rows readings:
// the latest value, a day by the quarter-hour's rollup, an hour raw, and OEE,
// ledger and stops of a shift. The limit is the design's, 50 ms at p99.
func apiReads(ctx context.Context, e Env) (map[string]Result, error) {
	ch, err := tables(ctx, e, "bench_api_reads")
	if err != nil {
		return nil, err
	}
	dir, key, err := readDirectory()
	if err != nil {
		return nil, err
	}
	end, err := populate(ctx, ch, e.Rows)
	if err != nil {
		return nil, err
	}
	b, err := newBed(ctx, e)
	if err != nil {
		return nil, err
	}
	defer b.stop()
	url, stop, err := startAPI(ctx, e, b, dir, query.New(ch, 20*time.Second))
	if err != nil {
		return nil, err
	}
	base := url + "/api/v1/plant-ops/"
	span := func(back time.Duration) string {
		return fmt.Sprintf("from=%d&to=%d", end-back.Milliseconds(), end)
	}
	out := map[string]Result{}
	for _, q := range []struct {
		name string
		path func(n int) string
	}{
		{"latest", func(n int) string { return fmt.Sprintf("sensors/s%d/readings/latest", n*7%readSensors) }},
		{"day-rollup", func(n int) string {
			return fmt.Sprintf("sensors/s%d/readings?resolution=auto&%s", n*7%readSensors, span(24*time.Hour))
		}},
		{"hour-raw", func(n int) string {
			return fmt.Sprintf("sensors/s%d/readings?resolution=raw&%s", n*7%readSensors, span(time.Hour))
		}},
		{"shift-oee", func(n int) string { return fmt.Sprintf("lines/l%d/oee?%s", n%readLines, span(8*time.Hour)) }},
		{"shift-ledger", func(n int) string {
			return fmt.Sprintf("lines/l%d/ledger?resolution=1h&%s", n%readLines, span(8*time.Hour))
		}},
		{"shift-downtime", func(n int) string { return fmt.Sprintf("lines/l%d/downtime?%s", n%readLines, span(8*time.Hour)) }},
	} {
		if _, err := ask(ctx, base, key, 1, 20, q.path); err != nil { // warm
			return nil, errors.Join(err, stop())
		}
		all, err := ask(ctx, base, key, readClients, readsEach, q.path)
		if err != nil {
			return nil, errors.Join(err, stop())
		}
		p50, p99 := quantiles(all)
		out["api-"+q.name+"-p50"] = Result{Value: p50, Unit: "ms", Target: fmt.Sprintf("on %d readings", e.Rows)}
		out["api-"+q.name+"-p99"] = Result{Value: p99, Unit: "ms", Target: "<= 50"}
	}
	return out, stop()
}

func readID(kind string, n int) plant.ID {
	return plant.MustID(fmt.Sprintf("%s-0000-4000-8000-%012d", map[string]string{"sensor": "00000001", "line": "00000002"}[kind], n))
}

// readDirectory knows the lines and sensors by key.
func readDirectory() (*directory.Store, string, error) {
	t := demo.Describe().Tenant
	things := []any{t}
	for i := range readLines {
		things = append(things, directory.Line{ID: readID("line", i), Tenant: t.ID, Key: fmt.Sprint("l", i), TimeZone: "UTC", Unit: "bottle"})
	}
	for i := range readSensors {
		things = append(things, directory.Sensor{ID: readID("sensor", i), Tenant: t.ID, Line: readID("line", i%readLines), Key: fmt.Sprint("s", i), Unit: "degC"})
	}
	return directoryOf(t.ID, things)
}

// populate fills the tables as a plant would have over time, a block of time
// after the other, and gives the time of the last reading.
func populate(ctx context.Context, ch *clickhouse.Client, rows int) (end int64, err error) {
	const every, chunk = 5000, 2_000_000
	tenant := demo.TenantID().String()
	last := time.Now().Add(-time.Minute).UnixMilli() / 60_000 * 60_000
	begin := last - int64(rows/readSensors)*every
	id := func(prefix, n string) string {
		return "toUUID(concat('" + prefix + "-0000-4000-8000-', leftPad(toString(" + n + "), 12, '0')))"
	}
	var statements []string
	for from := 0; from < rows; from += chunk {
		n := min(chunk, rows-from)
		at := func(n int) int64 { return begin + int64(n/readSensors)*every }
		statements = append(statements, fmt.Sprintf(`INSERT INTO readings (tenant_id, line_id, sensor_id, ts, value, quality, seq, score, _partition, _offset)
			SELECT toUUID('%s'), %s, %s, fromUnixTimestamp64Milli(toInt64(%d + intDiv(number, %d) * %d)), 20 + sin(number), 'good', intDiv(number, %d), 0, number %% 8, intDiv(number, 8)
			FROM numbers(%d, %d)`, tenant, id("00000002", fmt.Sprintf("number %% %d", readLines)), id("00000001", fmt.Sprintf("number %% %d", readSensors)), begin, readSensors, every, readSensors, from, n),
			// A minute that two blocks share has two rows, as after a processor's two flushes.
			fmt.Sprintf(`INSERT INTO readings_1m (tenant_id, line_id, sensor_id, ts, count, valid, sum, min, max, first, last)
			SELECT tenant_id, line_id, sensor_id, toStartOfMinute(r.ts) AS minute, count(), count(), sum(value), min(value), max(value), min((r.ts, value)), max((r.ts, value))
			FROM readings AS r WHERE r.ts >= fromUnixTimestamp64Milli(toInt64(%d)) AND r.ts < fromUnixTimestamp64Milli(toInt64(%d)) GROUP BY tenant_id, line_id, sensor_id, minute`, at(from), at(from+n)))
	}
	statements = append(statements,
		fmt.Sprintf(`INSERT INTO oee_parts (tenant_id, line_id, minute, product, running_ms, minor_stop_ms, planned_busy_ms, run_ms, good, total, unit, policy)
			SELECT toUUID('%s'), %s, toDateTime(%d - intDiv(number, %d) * 60, 'UTC'), 'p', 50000, 10000, 60000, 60000, 5, 5, 'bottle', 1 FROM numbers(%d)`,
			tenant, id("00000002", fmt.Sprintf("number %% %d", readLines)), last/1000-60, readLines, readLines*30*24*60),
		fmt.Sprintf(`INSERT INTO line_events (tenant_id, line_id, event_id, ts, type, state, reason)
			SELECT toUUID('%s'), %s, generateUUIDv4(number), fromUnixTimestamp64Milli(toInt64(%d - intDiv(number, %d) * 30000)), 'state', if(intDiv(number, %d) %% 2 = 0, 'EXECUTE', 'HELD'), 'jam' FROM numbers(%d)`,
			tenant, id("00000002", fmt.Sprintf("number %% %d", readLines)), last, readLines, readLines, readLines*30*24*120))
	for _, q := range statements {
		if _, err := ch.Exec(ctx, q, nil); err != nil {
			return 0, fmt.Errorf("filling the tables: %w", err)
		}
	}
	return last, nil
}
