CREATE OR REPLACE VIEW {bi}.readings
(
    tenant_id       UUID COMMENT 'owner of the reading',
    line_id         UUID COMMENT 'production line; zeros when the sensor belongs to none',
    sensor_id       UUID COMMENT 'sensor',
    time_utc        DateTime64(3, 'UTC') COMMENT 'time on the device, UTC',
    value           Float64 COMMENT 'in the unit of the sensor',
    quality         String COMMENT 'good, uncertain or bad, as the producer says',
    sequence_number Nullable(Int64) COMMENT 'the producer''s own number, or one given to a reading that came without a time; else empty',
    anomaly_score   Float32 COMMENT '0 (as expected) to 1'
)
AS SELECT tenant_id, line_id, sensor_id, ts AS time_utc, value, toString(r.quality) AS quality, nullIf(seq, -1) AS sequence_number, score AS anomaly_score
FROM {database}.readings AS r
COMMENT 'Every reading, once. Filter by tenant_id, sensor_id and time_utc.'
