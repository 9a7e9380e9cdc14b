-- +goose Up
-- What access tokens are refused although they have not ended, by the id of a
-- user or of a log-in. The directory has the same, and every api process by it;
-- this table says which entries can go, since the tokens have ended by then.
CREATE TABLE foodflow.revocations (
    id        uuid PRIMARY KEY, -- the user's or the log-in's
    tenant_id uuid NOT NULL REFERENCES foodflow.tenants ON DELETE CASCADE,
    below     bigint NOT NULL, -- the versions of the user that are refused are those below; 0: all
    until     timestamptz NOT NULL
);
CREATE INDEX revocations_until ON foodflow.revocations (until);

-- A tenant's role enters its own users and sees no other's. Role names are made
-- by internal/postgres.
ALTER TABLE foodflow.revocations ENABLE ROW LEVEL SECURITY;
CREATE POLICY revocations_own ON foodflow.revocations
    USING (current_user = 'ff_t_' || replace(tenant_id::text, '-', ''))
    WITH CHECK (current_user = 'ff_t_' || replace(tenant_id::text, '-', ''));
CREATE POLICY revocations_service ON foodflow.revocations
    USING (current_user NOT LIKE 'ff\_t\_%') WITH CHECK (current_user NOT LIKE 'ff\_t\_%');

-- +goose Down
DROP TABLE foodflow.revocations;
