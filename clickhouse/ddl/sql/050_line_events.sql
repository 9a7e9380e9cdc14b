CREATE TABLE IF NOT EXISTS line_events
(
    tenant_id  UUID,
    line_id    UUID,
    event_id   UUID,
    ts         DateTime64(3, 'UTC') COMMENT 'device time' CODEC(DoubleDelta, ZSTD(1)),
    type       LowCardinality(String) COMMENT 'state or count',
    state      LowCardinality(String) COMMENT 'PackML state; empty for a count',
    reason     String CODEC(ZSTD(1)),
    product    String CODEC(ZSTD(1)),
    good       Float64 COMMENT 'in unit',
    scrap      Float64 COMMENT 'in unit',
    rework     Float64 COMMENT 'in unit',
    unit       LowCardinality(String),
    _partition Int32 COMMENT 'of foodflow.line-events.v1',
    _offset    Int64 COMMENT 'of foodflow.line-events.v1'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ts)
-- A line's history is read by time.
ORDER BY (tenant_id, line_id, ts, event_id)
TTL toDateTime(ts) + INTERVAL {ttl_1h_days} DAY
SETTINGS non_replicated_deduplication_window = {window}, ttl_only_drop_parts = 1
COMMENT 'State changes and counts of lines, each once'
