-- +goose Up
-- Quantities and money are numeric: they are summed and compared, and must not
-- drift. planned -> running -> completed, and planned or running -> aborted.
CREATE TABLE batches (
    id               uuid PRIMARY KEY,
    key              text NOT NULL UNIQUE CHECK (length(key) BETWEEN 1 AND 100),
    line_id          uuid NOT NULL REFERENCES lines,
    product_id       uuid NOT NULL REFERENCES products,
    state            text NOT NULL CHECK (state IN ('planned', 'running', 'completed', 'aborted')),
    unit             text NOT NULL CHECK (length(unit) BETWEEN 1 AND 32),
    planned_quantity numeric(20, 6) NOT NULL CHECK (planned_quantity > 0),
    actual_quantity  numeric(20, 6) CHECK (actual_quantity >= 0),
    scrap_quantity   numeric(20, 6) CHECK (scrap_quantity >= 0),
    currency         text NOT NULL DEFAULT 'EUR' CHECK (currency ~ '^[A-Z]{3}$'),
    labour_cost      numeric(20, 6) CHECK (labour_cost >= 0),
    material_cost    numeric(20, 6) CHECK (material_cost >= 0),
    scrap_cost       numeric(20, 6) CHECK (scrap_cost >= 0),
    lots_in          jsonb NOT NULL DEFAULT '[]',
    lots_out         jsonb NOT NULL DEFAULT '[]',
    note             text NOT NULL DEFAULT '' CHECK (length(note) <= 2000),
    planned_start    timestamptz,
    started_at       timestamptz,
    ended_at         timestamptz,
    version          bigint NOT NULL DEFAULT 1,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    CHECK (state <> 'running' OR (started_at IS NOT NULL AND ended_at IS NULL)),
    CHECK (state <> 'completed' OR (started_at IS NOT NULL AND ended_at IS NOT NULL)),
    CHECK (ended_at >= started_at)
);
CREATE INDEX batches_line ON batches (line_id, id);
CREATE INDEX batches_product ON batches (product_id);
-- A line runs one batch at a time.
CREATE UNIQUE INDEX batches_running ON batches (line_id) WHERE state = 'running';

-- +goose Down
DROP TABLE batches;
