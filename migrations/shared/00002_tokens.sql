-- +goose Up
-- One row a log-in session: all refresh tokens that descend from one log-in are
-- a family, and reuse of a spent one ends the family.
CREATE TABLE foodflow.token_families (
    id         uuid PRIMARY KEY,
    tenant_id  uuid NOT NULL REFERENCES foodflow.tenants ON DELETE CASCADE,
    user_id    uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    reason     text NOT NULL DEFAULT '' CHECK (reason IN ('', 'logout', 'reuse', 'password', 'deactivated', 'admin'))
);
CREATE INDEX token_families_user ON foodflow.token_families (tenant_id, user_id);
CREATE INDEX token_families_expiry ON foodflow.token_families (expires_at);

-- Only SHA-256 of a token is stored; a token has 256 random bits.
CREATE TABLE foodflow.refresh_tokens (
    hash       bytea PRIMARY KEY CHECK (length(hash) = 32),
    family_id  uuid NOT NULL REFERENCES foodflow.token_families ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    spent_at   timestamptz
);
CREATE INDEX refresh_tokens_family ON foodflow.refresh_tokens (family_id);

-- Keys that sign access tokens. private_key is sealed (AES-256-GCM) under the
-- installation's secret, which the database never sees. A key is published from
-- created_at, signs from signs_from, and is trusted until trusted_until.
CREATE TABLE foodflow.signing_keys (
    kid           text PRIMARY KEY,
    public_key    bytea NOT NULL,
    private_key   bytea NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    signs_from    timestamptz NOT NULL,
    trusted_until timestamptz NOT NULL
);

-- +goose Down
DROP TABLE foodflow.signing_keys;
DROP TABLE foodflow.refresh_tokens;
DROP TABLE foodflow.token_families;
