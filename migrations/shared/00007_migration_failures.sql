-- +goose Up
-- Why the last try to migrate a schema failed; no row where it went well.
-- foodflow migrate status tells it. A deleted tenant's row goes with its schema.
CREATE TABLE foodflow.migration_failures (
    schema_name text PRIMARY KEY,
    error       text NOT NULL,
    failed_at   timestamptz NOT NULL DEFAULT now()
);

-- +goose Down
DROP TABLE foodflow.migration_failures;
