-- +goose Up
-- The end of each tenant's audit log, outside of the tenant's schema: rows that
-- are cut off at the end leave a chain that fits, but not this.
CREATE TABLE foodflow.audit_heads (
    tenant_id uuid PRIMARY KEY REFERENCES foodflow.tenants ON DELETE CASCADE,
    seq       bigint NOT NULL,
    hash      bytea NOT NULL
);

-- +goose StatementBegin
CREATE FUNCTION foodflow.audit_head_advances() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.seq <> OLD.seq + 1 OR NEW.tenant_id <> OLD.tenant_id THEN
        RAISE EXCEPTION 'an audit log only grows, row by row';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_head_advances BEFORE UPDATE ON foodflow.audit_heads FOR EACH ROW EXECUTE FUNCTION foodflow.audit_head_advances();

-- +goose StatementBegin
DO $$
DECLARE t record;
BEGIN
    FOR t IN SELECT id, schema_name FROM foodflow.tenants LOOP
        IF to_regclass(t.schema_name || '.audit_log') IS NOT NULL THEN
            EXECUTE format('INSERT INTO foodflow.audit_heads (tenant_id, seq, hash) SELECT %L, seq, hash FROM %I.audit_log ORDER BY seq DESC LIMIT 1', t.id, t.schema_name);
        END IF;
    END LOOP;
END $$;
-- +goose StatementEnd

-- A tenant's role moves its own head on and sees no other's. Role names are made
-- by internal/postgres.
ALTER TABLE foodflow.audit_heads ENABLE ROW LEVEL SECURITY;
CREATE POLICY audit_heads_own ON foodflow.audit_heads
    USING (current_user = 'ff_t_' || replace(tenant_id::text, '-', ''))
    WITH CHECK (current_user = 'ff_t_' || replace(tenant_id::text, '-', ''));
CREATE POLICY audit_heads_service ON foodflow.audit_heads
    USING (current_user NOT LIKE 'ff\_t\_%') WITH CHECK (current_user NOT LIKE 'ff\_t\_%');

-- +goose Down
DROP TABLE foodflow.audit_heads;
DROP FUNCTION foodflow.audit_head_advances;
