CREATE MATERIALIZED VIEW IF NOT EXISTS readings_1d_mv TO readings_1d AS
SELECT tenant_id, line_id, sensor_id, toStartOfDay(r.ts) AS ts,
    sum(r.count) AS count,
    sum(r.valid) AS valid,
    sum(r.sum) AS sum,
    min(r.min) AS min,
    max(r.max) AS max,
    min(r.first) AS first,
    max(r.last) AS last
FROM readings_1m AS r
GROUP BY tenant_id, line_id, sensor_id, ts
