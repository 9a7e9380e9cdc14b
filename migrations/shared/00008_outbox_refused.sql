-- +goose Up
-- Rows of the outbox that Kafka refuses for what they are, set aside whole so
-- that what comes behind them goes on. foodflow doctor lists them; nothing of
-- them is lost: outbox_retry() puts them back.
CREATE TABLE foodflow.outbox_refused (
    id           bigint PRIMARY KEY, -- the row's in the outbox
    tenant_id    uuid NOT NULL,
    kind         text NOT NULL,
    subject_kind text NOT NULL,
    subject_id   uuid NOT NULL,
    version      bigint NOT NULL,
    reason       text NOT NULL,
    refused_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    line         jsonb NOT NULL -- the row itself
);

-- Puts everything back in its old place, before what has come since, and gives
-- how many rows that is. Columns that came later keep their defaults.
-- +goose StatementBegin
CREATE FUNCTION foodflow.outbox_retry() RETURNS bigint LANGUAGE sql AS $$
    WITH back AS (DELETE FROM foodflow.outbox_refused RETURNING line),
    queued AS (INSERT INTO foodflow.outbox OVERRIDING SYSTEM VALUE
        SELECT r.* FROM back, jsonb_populate_record(NULL::foodflow.outbox, line) r RETURNING 1)
    SELECT count(*) FROM queued
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION foodflow.outbox_retry;
DROP TABLE foodflow.outbox_refused;
