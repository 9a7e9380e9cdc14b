-- +goose Up
-- What has been committed and not yet acked by Kafka. The relay deletes a row
-- after the ack, so the table is short. id gives the order: an aggregate's rows
-- are written while its row is locked, so their ids rise in the order in which
-- their transactions commit.
CREATE TABLE foodflow.outbox (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid          xid8 NOT NULL DEFAULT pg_current_xact_id(),
    tenant_id    uuid NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('event', 'directory', 'tombstone')),
    -- The aggregate (event) or the thing (directory, tombstone).
    subject_kind text NOT NULL,
    subject_id   uuid NOT NULL,
    version      bigint NOT NULL,
    -- Set for events.
    event_id     uuid,
    event_type   text NOT NULL DEFAULT '',
    actor        text NOT NULL DEFAULT '',
    data         jsonb NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A tenant's role may add rows of its own tenant and see none: the second wall
-- behind search_path. Role names are made by internal/postgres.
ALTER TABLE foodflow.outbox ENABLE ROW LEVEL SECURITY;
CREATE POLICY outbox_own ON foodflow.outbox FOR INSERT
    WITH CHECK (current_user = 'ff_t_' || replace(tenant_id::text, '-', ''));
CREATE POLICY outbox_service ON foodflow.outbox
    USING (current_user NOT LIKE 'ff\_t\_%') WITH CHECK (current_user NOT LIKE 'ff\_t\_%');

-- +goose Down
DROP TABLE foodflow.outbox;
