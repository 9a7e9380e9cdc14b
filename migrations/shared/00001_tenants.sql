-- +goose Up
-- One row a tenant. schema_name and role_name are derived from the id and kept
-- here so that nobody derives them twice in different ways.
CREATE TABLE foodflow.tenants (
    id          uuid PRIMARY KEY,
    key         text NOT NULL UNIQUE CHECK (key ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    schema_name text NOT NULL UNIQUE,
    role_name   text NOT NULL UNIQUE,
    state       text NOT NULL CHECK (state IN ('provisioning', 'active', 'suspended', 'deleting')),
    version     bigint NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);

-- A log-in names an e-mail address and no tenant, so addresses are unique in the
-- installation. Addresses are stored lower case.
CREATE TABLE foodflow.logins (
    email     text PRIMARY KEY CHECK (email = lower(email) AND length(email) <= 254),
    tenant_id uuid NOT NULL REFERENCES foodflow.tenants ON DELETE CASCADE,
    user_id   uuid NOT NULL UNIQUE
);
CREATE INDEX logins_tenant ON foodflow.logins (tenant_id);

-- A tenant's role keeps the addresses of its own users and sees no other's. Role
-- names are made by internal/postgres.
ALTER TABLE foodflow.logins ENABLE ROW LEVEL SECURITY;
CREATE POLICY logins_own ON foodflow.logins
    USING (current_user = 'ff_t_' || replace(tenant_id::text, '-', ''))
    WITH CHECK (current_user = 'ff_t_' || replace(tenant_id::text, '-', ''));
CREATE POLICY logins_service ON foodflow.logins
    USING (current_user NOT LIKE 'ff\_t\_%') WITH CHECK (current_user NOT LIKE 'ff\_t\_%');

-- +goose Down
DROP TABLE foodflow.logins;
DROP TABLE foodflow.tenants;
