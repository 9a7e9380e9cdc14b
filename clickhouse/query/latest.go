package query

import (
	"context"

	"github.com/foodflow/foodflow/internal/plant"
)

// Latest reads the youngest reading of a sensor by the device's time; false
// when there is none. It reads the key backwards and stops at the first row.
func (r *Reader) Latest(ctx context.Context, tenant, sensor plant.ID) (Reading, bool, error) {
	list, err := rows[Reading](ctx, r, `
		SELECT toUnixTimestamp64Milli(r.ts) AS ts, value, quality, seq, score, _partition, _offset
		FROM readings AS r
		WHERE tenant_id = {tenant:UUID} AND sensor_id = {sensor:UUID}
		ORDER BY r.ts DESC, _partition DESC, _offset DESC
		LIMIT 1`, params{"tenant": tenant, "sensor": sensor})
	if err != nil || len(list) == 0 {
		return Reading{}, false, err
	}
	return list[0], true, nil
}
