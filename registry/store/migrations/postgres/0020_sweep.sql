-- When a token is next to be looked at for its deadlines: 0 is now, NULL when
-- nothing is to come. So a sweep reads what is due and nothing else. A suspended
-- token keeps the time, and is looked at when it is live again.

-- +goose Up
ALTER TABLE tokens ADD COLUMN sweep_at bigint DEFAULT 0;
UPDATE tokens SET sweep_at = NULL WHERE expires_at IS NULL AND rotate_by IS NULL;
CREATE INDEX tokens_sweep ON tokens (sweep_at) WHERE state = 'live' AND sweep_at IS NOT NULL;
CREATE INDEX tokens_expires ON tokens (expires_at) WHERE state = 'live' AND expires_at IS NOT NULL;
CREATE INDEX tokens_rotate ON tokens (rotate_by) WHERE state = 'live' AND rotate_by IS NOT NULL;

-- +goose Down
DROP INDEX tokens_rotate;
DROP INDEX tokens_expires;
DROP INDEX tokens_sweep;
ALTER TABLE tokens DROP COLUMN sweep_at;
