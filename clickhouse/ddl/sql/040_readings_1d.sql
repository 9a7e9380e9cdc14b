CREATE TABLE IF NOT EXISTS readings_1d
(
    tenant_id UUID,
    line_id   UUID CODEC(ZSTD(1)),
    sensor_id UUID,
    ts        DateTime('UTC') COMMENT 'start of the day' CODEC(DoubleDelta, ZSTD(1)),
    count     SimpleAggregateFunction(sum, UInt64) COMMENT 'all readings',
    valid     SimpleAggregateFunction(sum, UInt64) COMMENT 'readings that are not of bad quality; the figures below are theirs',
    sum       SimpleAggregateFunction(sum, Float64),
    min       SimpleAggregateFunction(min, Float64) COMMENT 'inf when valid is 0',
    max       SimpleAggregateFunction(max, Float64) COMMENT '-inf when valid is 0',
    first     SimpleAggregateFunction(min, Tuple(DateTime64(3, 'UTC'), Float64)) COMMENT 'time and value of the first; in 2299 when valid is 0',
    last      SimpleAggregateFunction(max, Tuple(DateTime64(3, 'UTC'), Float64)) COMMENT 'time and value of the last; in 1970 when valid is 0'
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(ts)
ORDER BY (tenant_id, sensor_id, ts, line_id)
TTL ts + INTERVAL {ttl_1d_days} DAY
SETTINGS non_replicated_deduplication_window = {window}, ttl_only_drop_parts = 1
COMMENT 'Readings summed up by UTC day; sum the rows of a day'
