package query

import (
	"context"
	"fmt"
)

// Offsets says which records of one Kafka partition a table holds.
type Offsets struct {
	Partition int32  `json:"_partition"`
	Rows      uint64 `json:"rows"`
	Distinct  uint64 `json:"distinct"` // offsets
	First     int64  `json:"first"`
	Last      int64  `json:"last"`
}

// Doubles is how many rows are there more than once; it must be 0.
func (o *Offsets) Doubles() uint64 { return o.Rows - o.Distinct }

// Missing is how many offsets between the first and the last have no row:
// copies that were dropped, dead letters, transaction markers, rows past their
// TTL; anything beyond these is a loss.
func (o *Offsets) Missing() uint64 { return uint64(o.Last-o.First+1) - o.Distinct }

// Offsets counts gaps and doubles of readings or line_events, partition by
// partition, over all tenants: an operator's question. It reads two columns of
// the whole table.
func (r *Reader) Offsets(ctx context.Context, table string) ([]Offsets, error) {
	if table != "readings" && table != "line_events" {
		return nil, fmt.Errorf("querying clickhouse: table %q holds no records one by one", table)
	}
	return rows[Offsets](ctx, r, `
		SELECT _partition, count() AS rows, uniqExact(_offset) AS distinct, min(_offset) AS first, max(_offset) AS last
		FROM `+table+`
		GROUP BY _partition
		ORDER BY _partition`, nil)
}
