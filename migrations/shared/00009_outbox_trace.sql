-- +goose Up
-- The trace of the request that made the change (W3C traceparent and tracestate),
-- null where that was not sampled.
ALTER TABLE foodflow.outbox ADD COLUMN traceparent text, ADD COLUMN tracestate text;

-- +goose Down
ALTER TABLE foodflow.outbox DROP COLUMN traceparent, DROP COLUMN tracestate;
