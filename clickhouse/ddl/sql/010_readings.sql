CREATE TABLE IF NOT EXISTS readings
(
    tenant_id  UUID COMMENT 'owner',
    line_id    UUID COMMENT 'zero: the sensor belongs to no line' CODEC(ZSTD(1)),
    sensor_id  UUID,
    ts         DateTime64(3, 'UTC') COMMENT 'device time' CODEC(DoubleDelta, ZSTD(1)), -- near-constant steps
    value      Float64 COMMENT 'in the sensor''s unit' CODEC(Gorilla, ZSTD(1)), -- slowly changing floats
    quality    Enum8('good' = 0, 'uncertain' = 1, 'bad' = 2),
    seq        Int64 COMMENT 'the producer''s own number, or one given to a reading that came without a time; else -1' CODEC(Delta, ZSTD(1)),
    score      Float32 COMMENT 'anomaly score, 0 to 1' CODEC(ZSTD(1)),
    _partition Int32 COMMENT 'of foodflow.readings.v1' CODEC(ZSTD(1)),
    _offset    Int64 COMMENT 'of foodflow.readings.v1' CODEC(Delta, ZSTD(1))
)
ENGINE = MergeTree
-- A month is dropped whole when its time is over, and an insert of fresh data touches one.
PARTITION BY toYYYYMM(ts)
-- Every read names tenant and sensor and a span of time.
ORDER BY (tenant_id, sensor_id, ts)
TTL toDateTime(ts) + INTERVAL {ttl_raw_days} DAY
-- Files of their own for columns only past 128 MiB: an insert makes thirteen files
-- that way and over thirty the other, on which the file system spent more time than
-- ClickHouse on the rows. Merges write what is kept long.
SETTINGS non_replicated_deduplication_window = {window}, ttl_only_drop_parts = 1, min_bytes_for_wide_part = 134217728
COMMENT 'Every reading, once'
