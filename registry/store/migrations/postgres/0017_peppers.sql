-- Peppers: what the database knows of each secret that tokens are stored under. Up
-- to three are in use, so that one can be replaced. key_check tells a wrong one.

-- +goose Up
CREATE TABLE peppers (
    key_check  bytea PRIMARY KEY,
    key_id     bytea NOT NULL,   -- as in tokens; empty where it is not known
    state      text COLLATE "C" NOT NULL CHECK (state IN ('primary', 'active', 'retired')),
    log_seed   bytea NOT NULL,   -- of the audit log's key, sealed; empty: the pepper's own
    created_at bigint NOT NULL,  -- 0 is not known
    retired_at bigint,
    seq        bigint NOT NULL   -- grows with every change
);
INSERT INTO peppers (key_check, key_id, state, log_seed, created_at, seq)
    SELECT value, coalesce((SELECT key_id FROM tokens LIMIT 1), ''::bytea), 'primary', ''::bytea, 0, 1 FROM meta WHERE key = 'key_check';
DELETE FROM meta WHERE key = 'key_check';
CREATE TRIGGER peppers_changed AFTER INSERT OR UPDATE OR DELETE ON peppers
    FOR EACH STATEMENT EXECUTE FUNCTION quench_tokens_changed();

-- +goose Down
INSERT INTO meta (key, value) SELECT 'key_check', key_check FROM peppers WHERE state = 'primary';
DROP TABLE peppers;
