-- +goose Up
-- One row a limit of a sensor that was ever passed. What happened to it stands
-- in the event store (aggregate alarm); this is what holds now.
CREATE TABLE alarms (
    id             uuid PRIMARY KEY, -- derived from sensor and kind
    sensor_id      uuid NOT NULL REFERENCES sensors ON DELETE CASCADE,
    line_id        uuid,             -- the sensor's at the latest occurrence
    kind           text NOT NULL CHECK (kind IN ('limit_ll', 'limit_l', 'limit_h', 'limit_hh', 'range', 'rate')),
    state          text NOT NULL CHECK (state IN ('active', 'acknowledged', 'cleared', 'normal', 'shelved', 'suppressed', 'out_of_service')),
    present        boolean NOT NULL,
    acked          boolean NOT NULL,
    since          timestamptz NOT NULL,
    until          timestamptz,
    seen           timestamptz NOT NULL,
    occurrences    bigint NOT NULL CHECK (occurrences >= 0),
    shelf          text NOT NULL DEFAULT '' CHECK (shelf IN ('', 'timed', 'one_shot')),
    shelved_until  timestamptz CHECK ((shelf = 'timed') = (shelved_until IS NOT NULL)),
    suppressed     boolean NOT NULL DEFAULT false,
    out_of_service boolean NOT NULL DEFAULT false,
    value          double precision NOT NULL,
    bound          double precision NOT NULL,
    actor          text NOT NULL,
    comment        text NOT NULL DEFAULT '' CHECK (length(comment) <= 2000),
    version        bigint NOT NULL DEFAULT 1,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (sensor_id, kind)
);
-- Pages are newest first by (since, id); the others serve a line's alarms and
-- the end of timed shelves.
CREATE INDEX alarms_since ON alarms (since, id);
CREATE INDEX alarms_line ON alarms (line_id);
CREATE INDEX alarms_shelved ON alarms (shelved_until) WHERE shelf = 'timed';

-- Whether a line is in a state in which its alarms mean nothing, and as of when
-- the line said so.
CREATE TABLE alarm_suppressions (
    line_id    uuid PRIMARY KEY REFERENCES lines ON DELETE CASCADE,
    suppressed boolean NOT NULL,
    at         timestamptz NOT NULL
);

-- +goose Down
DROP TABLE alarm_suppressions;
DROP TABLE alarms;
