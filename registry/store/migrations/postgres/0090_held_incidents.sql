-- Incidents that are held back: until office hours, for a time of grace, for an
-- approver, or by a brake.

-- +goose Up
ALTER TABLE incidents
    ADD COLUMN due_at       bigint, -- when what is waiting is done by itself
    ADD COLUMN suspended_at bigint, -- refused since then, in a way that can be taken back
    ADD COLUMN braked_at    bigint, -- a brake held it back
    ADD COLUMN grace_us     bigint NOT NULL DEFAULT 0,            -- between suspending it and ending it for good
    ADD COLUMN hours        text COLLATE "C" NOT NULL DEFAULT '', -- within which alone it is ended for good
    ADD COLUMN approvers    text COLLATE "C" NOT NULL DEFAULT '', -- who alone may confirm it, one a line
    ADD COLUMN then_do      text COLLATE "C" NOT NULL DEFAULT '', -- what is done at the provider of a token once it is revoked
    DROP CONSTRAINT incidents_state_check,
    ADD CONSTRAINT incidents_state_check CHECK (state IN ('reported', 'asking', 'checking', 'waiting', 'revoking', 'resuming', 'dead', 'failed', 'dismissed'));
DROP INDEX incidents_automatic;
CREATE INDEX incidents_automatic ON incidents (automatic_at) WHERE automatic_at IS NOT NULL AND secret_mac IS NOT NULL;
CREATE INDEX incidents_automatic_token ON incidents (automatic_at) WHERE automatic_at IS NOT NULL AND token_id IS NOT NULL;
CREATE INDEX incidents_braked ON incidents (braked_at) WHERE braked_at IS NOT NULL;

-- +goose Down
DROP INDEX incidents_braked;
DROP INDEX incidents_automatic_token;
