-- +goose Up
-- An alarm that comes and goes more than ten times a minute is not told each time.
ALTER TABLE alarms
    ADD COLUMN folded     bigint NOT NULL DEFAULT 0, -- transitions since the last that was told
    ADD COLUMN told       bigint NOT NULL DEFAULT 0, -- transitions told since told_since
    ADD COLUMN told_since bigint NOT NULL DEFAULT 0; -- Unix milliseconds, the server's clock
-- Serves the telling of what was folded; few rows are ever in it.
CREATE INDEX alarms_folded ON alarms (told_since) WHERE folded > 0;

-- +goose Down
DROP INDEX alarms_folded;
ALTER TABLE alarms DROP COLUMN told_since, DROP COLUMN told, DROP COLUMN folded;
