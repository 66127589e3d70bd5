-- Incidents that are held back: until office hours, for a time of grace, for an
-- approver, or by a brake. SQLite cannot widen a CHECK, so the table is made anew, as
-- in 0030.

-- +goose Up
PRAGMA defer_foreign_keys = ON;
ALTER TABLE incidents ADD COLUMN due_at INTEGER; -- fails where this ran before, which would lose what it added
CREATE TABLE incidents_before AS SELECT * FROM incidents;
DROP TABLE incidents;
CREATE TABLE incidents (
    id            TEXT PRIMARY KEY,
    token_id      TEXT UNIQUE REFERENCES tokens (id), -- further leaks are further places; NULL of a secret
    secret_mac    BLOB,                     -- of a secret, under the registry's pepper
    rule          TEXT NOT NULL DEFAULT '', -- that found the secret
    hint          TEXT NOT NULL DEFAULT '', -- what may be shown of it
    state         TEXT NOT NULL CHECK (state IN ('reported', 'asking', 'checking', 'waiting', 'revoking', 'resuming', 'dead', 'failed', 'dismissed')),
    outcome       TEXT NOT NULL DEFAULT '', -- of the last call to the provider
    provider      TEXT NOT NULL, -- '' is this registry alone
    note          TEXT NOT NULL,
    leaked_at     INTEGER,       -- commit or log line, as it says itself
    found_at      INTEGER NOT NULL,
    matched_at    INTEGER NOT NULL,
    revoking_at   INTEGER,       -- the transaction that announced the revocation
    dead_at       INTEGER,       -- Verify refuses it from here on; a secret: its provider does
    confirmed_at  INTEGER,       -- the provider took it
    automatic_at  INTEGER,       -- it was decided on without a person: what the brakes count
    attempting_at INTEGER,       -- a call whose answer is not known: it is checked before another
    accepted_at   INTEGER,       -- the provider took it and has not ended it yet
    next_at       INTEGER,       -- the provider asked not to be called before
    job_id        INTEGER,       -- of the queue, while something is still to be done
    due_at        INTEGER,       -- when what is waiting is done by itself
    suspended_at  INTEGER,       -- refused since then, in a way that can be taken back
    braked_at     INTEGER,       -- a brake held it back
    grace_us      INTEGER NOT NULL DEFAULT 0,  -- between suspending it and ending it for good
    hours         TEXT NOT NULL DEFAULT '',    -- within which alone it is ended for good
    approvers     TEXT NOT NULL DEFAULT '',    -- who alone may confirm it, one a line
    then_do       TEXT NOT NULL DEFAULT '',    -- what is done at the provider of a token once it is revoked
    UNIQUE (provider, secret_mac)
) STRICT;
INSERT INTO incidents (id, token_id, secret_mac, rule, hint, state, outcome, provider, note, leaked_at, found_at, matched_at, revoking_at, dead_at, confirmed_at,
        automatic_at, attempting_at, accepted_at, next_at, job_id)
    SELECT id, token_id, secret_mac, rule, hint, state, outcome, provider, note, leaked_at, found_at, matched_at, revoking_at, dead_at, confirmed_at,
        automatic_at, attempting_at, accepted_at, next_at, job_id FROM incidents_before;
DROP TABLE incidents_before;
CREATE INDEX incidents_automatic ON incidents (automatic_at) WHERE automatic_at IS NOT NULL AND secret_mac IS NOT NULL;
CREATE INDEX incidents_automatic_token ON incidents (automatic_at) WHERE automatic_at IS NOT NULL AND token_id IS NOT NULL;
CREATE INDEX incidents_braked ON incidents (braked_at) WHERE braked_at IS NOT NULL;

-- +goose Down
DROP INDEX incidents_braked;
DROP INDEX incidents_automatic_token;
