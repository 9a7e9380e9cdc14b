-- +goose Up
CREATE TABLE calendars (
    id         uuid PRIMARY KEY,
    key        text NOT NULL UNIQUE CHECK (length(key) BETWEEN 1 AND 100),
    name       text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    time_zone  text NOT NULL,
    cycle_days integer NOT NULL CHECK (cycle_days BETWEEN 1 AND 366),
    anchor     date NOT NULL,
    shifts     jsonb NOT NULL DEFAULT '[]',
    exceptions jsonb NOT NULL DEFAULT '[]',
    version    bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE lines (
    id                 uuid PRIMARY KEY,
    key                text NOT NULL UNIQUE CHECK (length(key) BETWEEN 1 AND 100),
    name               text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    time_zone          text NOT NULL,
    unit               text NOT NULL CHECK (length(unit) BETWEEN 1 AND 32),
    ideal_rate         double precision NOT NULL DEFAULT 0 CHECK (ideal_rate >= 0),
    calendar_id        uuid REFERENCES calendars,
    silence_timeout_ms bigint NOT NULL DEFAULT 0 CHECK (silence_timeout_ms >= 0),
    minor_stop_ms      bigint NOT NULL DEFAULT 0 CHECK (minor_stop_ms >= 0),
    policy             bigint NOT NULL DEFAULT 1 CHECK (policy BETWEEN 0 AND 4294967295),
    is_constraint      boolean NOT NULL DEFAULT true,
    version            bigint NOT NULL DEFAULT 1,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX lines_calendar ON lines (calendar_id);

CREATE TABLE products (
    id         uuid PRIMARY KEY,
    key        text NOT NULL UNIQUE CHECK (length(key) BETWEEN 1 AND 100),
    name       text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    unit       text NOT NULL CHECK (length(unit) BETWEEN 1 AND 32),
    allergens  text[] NOT NULL DEFAULT '{}',
    version    bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- A product's ideal rate on a line, valid from a date until the next row.
CREATE TABLE ideal_rates (
    line_id    uuid NOT NULL REFERENCES lines ON DELETE CASCADE,
    product_id uuid NOT NULL REFERENCES products,
    valid_from timestamptz NOT NULL,
    per_minute double precision NOT NULL CHECK (per_minute > 0),
    PRIMARY KEY (line_id, product_id, valid_from)
);
CREATE INDEX ideal_rates_product ON ideal_rates (product_id);

-- No CASCADE: a line with sensors is not deleted by accident.
CREATE TABLE sensors (
    id           uuid PRIMARY KEY,
    line_id      uuid REFERENCES lines,
    key          text NOT NULL UNIQUE CHECK (length(key) BETWEEN 1 AND 200),
    name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    unit         text NOT NULL CHECK (length(unit) <= 32),
    kind         text NOT NULL CHECK (length(kind) <= 64),
    limit_ll     double precision,
    limit_l      double precision,
    limit_h      double precision,
    limit_hh     double precision,
    range_min    double precision,
    range_max    double precision,
    deadband     double precision NOT NULL DEFAULT 0 CHECK (deadband >= 0),
    on_delay_ms  bigint NOT NULL DEFAULT 0 CHECK (on_delay_ms >= 0),
    off_delay_ms bigint NOT NULL DEFAULT 0 CHECK (off_delay_ms >= 0),
    detect       text NOT NULL DEFAULT 'default' CHECK (detect IN ('default', 'off')),
    version      bigint NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX sensors_line ON sensors (line_id, id);

CREATE TABLE stop_reasons (
    id         uuid PRIMARY KEY,
    parent_id  uuid REFERENCES stop_reasons CHECK (parent_id <> id),
    key        text NOT NULL UNIQUE CHECK (length(key) BETWEEN 1 AND 100),
    name       text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    class      text NOT NULL DEFAULT '',
    version    bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX stop_reasons_parent ON stop_reasons (parent_id);

-- +goose Down
DROP TABLE stop_reasons;
DROP TABLE sensors;
DROP TABLE ideal_rates;
DROP TABLE products;
DROP TABLE lines;
DROP TABLE calendars;
