-- +goose Up
-- Periodic and long work. The row is the truth: how far the work is, who holds
-- it, what came of it. River's own tables only say that somebody should look at
-- it, and are cleaned up by River; this one stays.
CREATE TABLE foodflow.jobs (
    id          uuid PRIMARY KEY,
    kind        text NOT NULL CHECK (length(kind) BETWEEN 1 AND 64),
    -- No foreign key: what is known of a deletion outlives the tenant.
    tenant_id   uuid,
    tenant_key  text NOT NULL DEFAULT '',
    actor       text NOT NULL,
    state       text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'failed')),
    -- Both are emptied when the work ends: an input may hold a password's hash.
    input       jsonb NOT NULL DEFAULT '{}',
    checkpoint  jsonb NOT NULL DEFAULT '{}',
    step        integer NOT NULL DEFAULT 0 CHECK (step >= 0),
    phase       text NOT NULL DEFAULT '',
    share       double precision NOT NULL DEFAULT 0 CHECK (share BETWEEN 0 AND 1),
    counts      jsonb NOT NULL DEFAULT '{}',
    result      jsonb,
    error       text NOT NULL DEFAULT '',
    attempts    integer NOT NULL DEFAULT 0,
    run_at      timestamptz NOT NULL DEFAULT now(),
    -- Who works on it, until when unless renewed. Every write of the worker
    -- names the owner, so one that lost the job changes nothing.
    owner       uuid,
    lease_until timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    started_at  timestamptz,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CHECK ((state IN ('done', 'failed')) = (finished_at IS NOT NULL))
);
-- One open job of a kind for each tenant, and one for none.
CREATE UNIQUE INDEX jobs_open ON foodflow.jobs (kind, tenant_id) NULLS NOT DISTINCT WHERE state IN ('queued', 'running');
-- Pages are newest first; the second serves the filter by tenant.
CREATE INDEX jobs_newest ON foodflow.jobs (id DESC);
CREATE INDEX jobs_tenant ON foodflow.jobs (tenant_id, id DESC);

-- +goose Down
DROP TABLE foodflow.jobs;
