CREATE TABLE IF NOT EXISTS anomalies
(
    tenant_id  UUID,
    line_id    UUID COMMENT 'zero: no line',
    sensor_id  UUID,
    anomaly_id UUID,
    kind       LowCardinality(String) COMMENT 'deviation, flatline, limit_ll, limit_l, limit_h, limit_hh, range, rate',
    ts         DateTime64(3, 'UTC') COMMENT 'of the reading that showed it' CODEC(DoubleDelta, ZSTD(1)),
    since      DateTime64(3, 'UTC') COMMENT 'of the first reading of the excursion',
    value      Float64 COMMENT 'what came',
    expected   Float64 COMMENT 'what was expected, or the limit',
    score      Float32 COMMENT '0 to 1',
    _partition Int32 COMMENT 'of foodflow.readings.v1',
    _offset    Int64 COMMENT 'of foodflow.readings.v1'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ts)
-- Read by tenant and time; a sensor's are few.
ORDER BY (tenant_id, ts, anomaly_id)
TTL toDateTime(ts) + INTERVAL {ttl_1h_days} DAY
SETTINGS non_replicated_deduplication_window = {window}, ttl_only_drop_parts = 1
COMMENT 'Findings of the detectors'
