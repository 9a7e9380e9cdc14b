-- +goose Up
-- A transaction may add many rows to an audit log, and then moves its end on once.
-- That the end never goes back is what keeps cut-off rows from being made anew.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION foodflow.audit_head_advances() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.seq <= OLD.seq OR NEW.tenant_id <> OLD.tenant_id THEN
        RAISE EXCEPTION 'an audit log only grows';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION foodflow.audit_head_advances() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.seq <> OLD.seq + 1 OR NEW.tenant_id <> OLD.tenant_id THEN
        RAISE EXCEPTION 'an audit log only grows, row by row';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
