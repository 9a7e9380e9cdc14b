package query

import (
	"context"
	"fmt"

	"github.com/foodflow/foodflow/internal/plant"
)

// Resolution is how fine readings are read.
type Resolution string

// The resolutions; each but Raw is a rollup.
const (
	Raw    Resolution = "raw"
	Minute Resolution = "1m"
	Hour   Resolution = "1h"
	Day    Resolution = "1d"
)

// Auto chooses the finest resolution of which a span has no more than a few
// thousand points, taking raw readings as one a second.
func Auto(from, to int64) Resolution {
	const hour = 3_600_000
	switch span := to - from; {
	case span <= hour:
		return Raw
	case span <= 2*24*hour:
		return Minute
	case span <= 120*24*hour:
		return Hour
	}
	return Day
}

// ReadingsQuery asks for readings of one sensor, oldest first.
type ReadingsQuery struct {
	Tenant, Sensor plant.ID
	From, To       int64
	Limit          int
	After          *ReadingKey // the last row of the page before
}

// ReadingKey places a raw reading in its list. Of a rollup only TS counts.
type ReadingKey struct {
	TS        int64
	Partition int32
	Offset    int64
}

// Reading is one raw reading.
type Reading struct {
	TS        int64   `json:"ts"`
	Value     float64 `json:"value"`
	Quality   string  `json:"quality"`
	Seq       int64   `json:"seq"`
	Score     float64 `json:"score"`
	Partition int32   `json:"_partition"`
	Offset    int64   `json:"_offset"`
}

// Key places the reading.
func (r *Reading) Key() ReadingKey { return ReadingKey{r.TS, r.Partition, r.Offset} }

func (q *ReadingsQuery) params() params {
	p := params{"tenant": q.Tenant, "sensor": q.Sensor, "from": q.From, "to": q.To, "limit": q.Limit + 1, "ts": q.From - 1, "partition": -1, "offset": -1}
	if q.After != nil {
		p["ts"], p["partition"], p["offset"] = q.After.TS, q.After.Partition, q.After.Offset
	}
	return p
}

// Readings reads raw readings; more says that another page follows.
func (r *Reader) Readings(ctx context.Context, q ReadingsQuery) (list []Reading, more bool, err error) {
	list, err = rows[Reading](ctx, r, `
		SELECT toUnixTimestamp64Milli(r.ts) AS ts, value, quality, seq, score, _partition, _offset
		FROM readings AS r
		WHERE tenant_id = {tenant:UUID} AND sensor_id = {sensor:UUID}
			AND r.ts >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND r.ts < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
			AND r.ts >= fromUnixTimestamp64Milli({ts:Int64}, 'UTC')
			AND (toUnixTimestamp64Milli(r.ts), _partition, _offset) > ({ts:Int64}, {partition:Int32}, {offset:Int64})
		ORDER BY r.ts, _partition, _offset
		LIMIT {limit:UInt32}`, q.params())
	list, more = page(list, q.Limit)
	return list, more, err
}

// Bucket is the readings of one minute, hour or day. The figures are of
// readings that are not of bad quality; nil where there is none.
type Bucket struct {
	TS    int64    `json:"ts"`
	Count uint64   `json:"count"`
	Valid uint64   `json:"valid"`
	Mean  *float64 `json:"mean"`
	Min   *float64 `json:"min"`
	Max   *float64 `json:"max"`
	First *float64 `json:"first"`
	Last  *float64 `json:"last"`
}

// Buckets reads a rollup. A bucket belongs to the span when it begins in it.
func (r *Reader) Buckets(ctx context.Context, res Resolution, q ReadingsQuery) (list []Bucket, more bool, err error) {
	table := map[Resolution]string{Minute: "readings_1m", Hour: "readings_1h", Day: "readings_1d"}[res]
	if table == "" {
		return nil, false, fmt.Errorf("querying clickhouse: no rollup of resolution %q", res)
	}
	if q.After != nil {
		q.From = max(q.From, q.After.TS+1) // what is skipped need not be read
	}
	list, err = rows[Bucket](ctx, r, `
		SELECT toUnixTimestamp(t.ts) * 1000 AS ts, sum(t.count) AS count, sum(t.valid) AS valid,
			if(sum(t.valid) = 0, NULL, sum(t.sum) / sum(t.valid)) AS mean,
			if(sum(t.valid) = 0, NULL, min(t.min)) AS min, if(sum(t.valid) = 0, NULL, max(t.max)) AS max,
			if(sum(t.valid) = 0, NULL, tupleElement(min(t.first), 2)) AS first, if(sum(t.valid) = 0, NULL, tupleElement(max(t.last), 2)) AS last
		FROM `+table+` AS t
		WHERE tenant_id = {tenant:UUID} AND sensor_id = {sensor:UUID}
			AND t.ts >= toDateTime(intDiv({from:Int64} + 999, 1000), 'UTC') AND t.ts < toDateTime(intDiv({to:Int64} + 999, 1000), 'UTC')
		GROUP BY t.ts
		ORDER BY t.ts
		LIMIT {limit:UInt32}`, q.params())
	list, more = page(list, q.Limit)
	return list, more, err
}
