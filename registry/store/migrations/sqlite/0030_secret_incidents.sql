-- Incidents of secrets that no token of the registry is: found by a rule, issued by
-- a provider, and known by their MAC. SQLite cannot let go of NOT NULL or of a CHECK,
-- so the table is made anew: its rows wait in a copy, and those that refer to them
-- are looked at again when the transaction ends.

-- +goose Up
PRAGMA defer_foreign_keys = ON;
CREATE TABLE incidents_before AS SELECT * FROM incidents;
DROP TABLE incidents;
CREATE TABLE incidents (
    id            TEXT PRIMARY KEY,
    token_id      TEXT UNIQUE REFERENCES tokens (id), -- further leaks are further places; NULL of a secret
    secret_mac    BLOB,                     -- of a secret, under the registry's pepper
    rule          TEXT NOT NULL DEFAULT '', -- that found the secret
    hint          TEXT NOT NULL DEFAULT '', -- what may be shown of it
    state         TEXT NOT NULL CHECK (state IN ('reported', 'asking', 'checking', 'revoking', 'dead', 'failed', 'dismissed')),
    outcome       TEXT NOT NULL DEFAULT '', -- of the last call to the provider
    provider      TEXT NOT NULL, -- '' is this registry alone
    note          TEXT NOT NULL,
    leaked_at     INTEGER,       -- commit or log line, as it says itself
    found_at      INTEGER NOT NULL,
    matched_at    INTEGER NOT NULL,
    revoking_at   INTEGER,       -- the transaction that announced the revocation
    dead_at       INTEGER,       -- Verify refuses it from here on; a secret: its provider does
    confirmed_at  INTEGER,       -- the provider took it
    automatic_at  INTEGER,       -- a secret's revocation without a person: what the brake counts
    attempting_at INTEGER,       -- a call whose answer is not known: it is checked before another
    accepted_at   INTEGER,       -- the provider took it and has not ended it yet
    next_at       INTEGER,       -- the provider asked not to be called before
    job_id        INTEGER,       -- of the queue, while a provider is to be told
    UNIQUE (provider, secret_mac)
) STRICT;
INSERT INTO incidents (id, token_id, state, provider, note, leaked_at, found_at, matched_at, revoking_at, dead_at, confirmed_at, job_id)
    SELECT id, token_id, state, provider, note, leaked_at, found_at, matched_at, revoking_at, dead_at, confirmed_at, job_id FROM incidents_before;
DROP TABLE incidents_before;
CREATE INDEX incidents_automatic ON incidents (automatic_at) WHERE automatic_at IS NOT NULL;

ALTER TABLE receipts ADD COLUMN call TEXT NOT NULL DEFAULT ''; -- check or revoke; '' is a report

-- What has to be shown to a provider, sealed under a key that is not in the database.
-- Tables of this beginning are left out of backups.
CREATE TABLE sealed_secrets (
    incident_id TEXT PRIMARY KEY REFERENCES incidents (id),
    box         BLOB NOT NULL,
    expires_at  INTEGER NOT NULL -- and is deleted then, whatever came of it
) STRICT;

-- +goose Down
DROP TABLE sealed_secrets;
ALTER TABLE receipts DROP COLUMN call;
