-- +goose Up
-- A repetition of the stream is told by where the reading lies, not by the clock of
-- the device. An alarm that is there already knows no place yet: the next that is
-- said of it is news.
ALTER TABLE alarms
    ADD COLUMN epoch  bigint NOT NULL DEFAULT 0,   -- the sensor's, of what counts
    ADD COLUMN places jsonb NOT NULL DEFAULT '[]'; -- [{topic_id, partition, offset}], newest first

-- How often the sensor's alarms were begun anew.
ALTER TABLE sensors ADD COLUMN epoch bigint NOT NULL DEFAULT 0;

-- What the line's own clock said, where at is not later than the broker's.
ALTER TABLE alarm_suppressions ADD COLUMN told timestamptz;
UPDATE alarm_suppressions SET told = at;
ALTER TABLE alarm_suppressions ALTER COLUMN told SET NOT NULL;

-- +goose Down
ALTER TABLE alarm_suppressions DROP COLUMN told;
ALTER TABLE sensors DROP COLUMN epoch;
ALTER TABLE alarms DROP COLUMN places, DROP COLUMN epoch;
