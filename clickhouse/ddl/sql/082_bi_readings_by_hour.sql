-- Sums of the rollup's rows: parts of one hour that are not merged yet count as
-- one hour here.
CREATE OR REPLACE VIEW {bi}.readings_by_hour
(
    tenant_id   UUID COMMENT 'owner',
    line_id     UUID COMMENT 'production line; zeros when the sensor belongs to none',
    sensor_id   UUID COMMENT 'sensor',
    hour_utc    DateTime('UTC') COMMENT 'start of the hour, UTC',
    readings    UInt64 COMMENT 'number of all readings',
    valid       UInt64 COMMENT 'number of readings that are not of bad quality; the values are of these',
    mean_value  Nullable(Float64) COMMENT 'in the unit of the sensor; empty when valid is 0',
    min_value   Nullable(Float64) COMMENT 'in the unit of the sensor; empty when valid is 0',
    max_value   Nullable(Float64) COMMENT 'in the unit of the sensor; empty when valid is 0'
)
AS SELECT tenant_id, line_id, sensor_id, h.ts AS hour_utc, sum(h.count) AS readings, sum(h.valid) AS valid,
    if(sum(h.valid) = 0, NULL, sum(h.sum) / sum(h.valid)) AS mean_value,
    if(sum(h.valid) = 0, NULL, min(h.min)) AS min_value,
    if(sum(h.valid) = 0, NULL, max(h.max)) AS max_value
FROM {database}.readings_1h AS h
GROUP BY tenant_id, line_id, sensor_id, hour_utc
COMMENT 'Readings summed up by hour.'
