-- +goose Up
-- What was removed with a tenant, as it was found and counted afterwards. The
-- rows outlive the tenants, so there is no foreign key. Each report's hash
-- covers the report, which names the hash of the one before it.
CREATE TABLE foodflow.deletions (
    number     bigint PRIMARY KEY CHECK (number > 0),
    tenant_id  uuid NOT NULL UNIQUE,
    tenant_key text NOT NULL,
    -- Text, not jsonb: hash and signature are over these very bytes.
    report     text NOT NULL,
    hash       bytea NOT NULL CHECK (length(hash) = 32),
    signature  bytea NOT NULL,
    public_key bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- +goose Down
DROP TABLE foodflow.deletions;
