-- +goose Up
-- The event store: every change of this tenant's master data and every fact
-- raised from the stream. seq counts an aggregate's events without a gap. xid
-- lets a reader follow the store without missing a transaction that commits
-- late: it reads below pg_snapshot_xmin.
CREATE TABLE events (
    id             uuid PRIMARY KEY,
    xid            xid8 NOT NULL DEFAULT pg_current_xact_id(),
    type           text NOT NULL,
    aggregate_type text NOT NULL,
    aggregate_id   uuid NOT NULL,
    seq            bigint NOT NULL,
    ts             timestamptz NOT NULL,
    actor          text NOT NULL,
    data           jsonb NOT NULL,
    UNIQUE (aggregate_id, seq)
);
-- Pages are newest first by (ts, id); the second serves the filter by type.
CREATE INDEX events_time ON events (ts, id);
CREATE INDEX events_type ON events (type, ts, id);

-- The audit log. Each row's hash covers the row and the hash before it, so a
-- changed or missing row breaks every later one.
CREATE TABLE audit_log (
    seq      bigint PRIMARY KEY,
    ts       timestamptz NOT NULL,
    actor    text NOT NULL,
    action   text NOT NULL,
    resource text NOT NULL,
    detail   jsonb NOT NULL DEFAULT '{}',
    prev     bytea NOT NULL,
    hash     bytea NOT NULL UNIQUE
);

-- +goose Down
DROP TABLE audit_log;
DROP TABLE events;
