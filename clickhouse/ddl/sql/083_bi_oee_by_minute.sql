CREATE OR REPLACE VIEW {bi}.oee_by_minute
(
    tenant_id            UUID COMMENT 'owner',
    line_id              UUID COMMENT 'production line',
    minute_utc           DateTime('UTC') COMMENT 'start of the minute, UTC',
    product              String COMMENT 'product made; empty when unsaid',
    unit                 String COMMENT 'unit of the counts; several by comma',
    running_ms           Int64 COMMENT 'milliseconds running',
    minor_stop_ms        Int64 COMMENT 'milliseconds in minor stops',
    breakdown_ms         Int64 COMMENT 'milliseconds broken down',
    setup_ms             Int64 COMMENT 'milliseconds in changeovers, without the two below',
    cip_ms               Int64 COMMENT 'milliseconds cleaning in place',
    allergen_clean_ms    Int64 COMMENT 'milliseconds in allergen changeovers',
    starved_ms           Int64 COMMENT 'milliseconds waiting for what comes before',
    blocked_ms           Int64 COMMENT 'milliseconds waiting for what comes behind',
    planned_stop_ms      Int64 COMMENT 'milliseconds in planned stops',
    unscheduled_ms       Int64 COMMENT 'milliseconds without a shift',
    no_signal_ms         Int64 COMMENT 'milliseconds without a signal',
    planned_busy_ms      Int64 COMMENT 'planned busy time, milliseconds (ISO 22400 PBT)',
    run_ms               Int64 COMMENT 'actual production time, milliseconds (ISO 22400 APT)',
    ideal_total_ms       Float64 COMMENT 'ideal time of all that was made, milliseconds',
    ideal_good_ms        Float64 COMMENT 'ideal time of the good, milliseconds',
    total_count          Float64 COMMENT 'made, in unit',
    good_count           Float64 COMMENT 'good, in unit',
    scrap_count          Float64 COMMENT 'scrap, in unit',
    startup_scrap_count  Float64 COMMENT 'of the scrap, made while starting up, in unit',
    rework_count         Float64 COMMENT 'reworked, in unit',
    revisions            UInt64 COMMENT 'later facts that changed the minute'
)
AS SELECT tenant_id, line_id, o.minute AS minute_utc, toString(o.product) AS product,
    arrayStringConcat(arraySort(groupUniqArrayIf(toString(o.unit), o.unit != '')), ',') AS unit,
    sum(o.running_ms) AS running_ms, sum(o.minor_stop_ms) AS minor_stop_ms, sum(o.breakdown_ms) AS breakdown_ms,
    sum(o.setup_ms) AS setup_ms, sum(o.cip_ms) AS cip_ms, sum(o.allergen_clean_ms) AS allergen_clean_ms,
    sum(o.starved_ms) AS starved_ms, sum(o.blocked_ms) AS blocked_ms, sum(o.planned_stop_ms) AS planned_stop_ms,
    sum(o.unscheduled_ms) AS unscheduled_ms, sum(o.no_signal_ms) AS no_signal_ms,
    sum(o.planned_busy_ms) AS planned_busy_ms, sum(o.run_ms) AS run_ms,
    sum(o.ideal_total_ms) AS ideal_total_ms, sum(o.ideal_good_ms) AS ideal_good_ms,
    sum(o.total) AS total_count, sum(o.good) AS good_count, sum(o.scrap) AS scrap_count,
    sum(o.startup_scrap) AS startup_scrap_count, sum(o.rework) AS rework_count, countIf(o.revision > 0) AS revisions
FROM {database}.oee_parts AS o
GROUP BY tenant_id, line_id, minute_utc, product
COMMENT 'The parts of OEE by minute and product. Sum them over any span, then: OEE = ideal_good_ms / planned_busy_ms, availability = run_ms / planned_busy_ms, performance = ideal_total_ms / run_ms, quality = good_count / total_count. Never average percentages.'
