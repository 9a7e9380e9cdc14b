-- Each row is a change of a minute's figures: sums over rows are always the
-- current figures, and the rows are their history.
CREATE TABLE IF NOT EXISTS oee_parts
(
    tenant_id         UUID,
    line_id           UUID,
    minute            DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)),
    product           LowCardinality(String),
    revision          UInt32 COMMENT '0: the minute''s first part',
    unit              LowCardinality(String),
    no_signal_ms      Int64 CODEC(ZSTD(1)),
    unscheduled_ms    Int64 CODEC(ZSTD(1)),
    planned_stop_ms   Int64 CODEC(ZSTD(1)),
    setup_ms          Int64 CODEC(ZSTD(1)),
    cip_ms            Int64 CODEC(ZSTD(1)),
    allergen_clean_ms Int64 CODEC(ZSTD(1)),
    breakdown_ms      Int64 CODEC(ZSTD(1)),
    minor_stop_ms     Int64 CODEC(ZSTD(1)),
    starved_ms        Int64 CODEC(ZSTD(1)),
    blocked_ms        Int64 CODEC(ZSTD(1)),
    running_ms        Int64 CODEC(ZSTD(1)),
    planned_busy_ms   Int64 COMMENT 'ISO 22400 PBT' CODEC(ZSTD(1)),
    run_ms            Int64 COMMENT 'ISO 22400 APT' CODEC(ZSTD(1)),
    ideal_total_ms    Float64 COMMENT 'ideal time of all that was made',
    ideal_good_ms     Float64 COMMENT 'ideal time of what was made well',
    total             Float64,
    good              Float64,
    scrap             Float64,
    startup_scrap     Float64,
    rework            Float64,
    policy            UInt32 COMMENT 'version of the policy',
    _partition        Int32 COMMENT 'slot that computed it'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (tenant_id, line_id, minute, product)
TTL minute + INTERVAL {ttl_1d_days} DAY
SETTINGS non_replicated_deduplication_window = {window}, ttl_only_drop_parts = 1
COMMENT 'Changes of a minute''s OEE figures; plain sums are the current figures'
