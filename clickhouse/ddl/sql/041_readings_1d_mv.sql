CREATE MATERIALIZED VIEW IF NOT EXISTS readings_1d_mv TO readings_1d AS
SELECT tenant_id, line_id, sensor_id, toStartOfDay(r.ts) AS ts,
    count() AS count,
    countIf(quality != 'bad') AS valid,
    sumIf(value, quality != 'bad') AS sum,
    min(if(quality = 'bad', inf, value)) AS min,
    max(if(quality = 'bad', -inf, value)) AS max,
    argMinStateIf(value, r.ts, quality != 'bad') AS first,
    argMaxStateIf(value, r.ts, quality != 'bad') AS last
FROM readings AS r
GROUP BY tenant_id, line_id, sensor_id, ts
