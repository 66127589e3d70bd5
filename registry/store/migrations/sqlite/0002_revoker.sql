-- Incidents: tokens that leaked, on their way to containment. Times are
-- microseconds since 1970 UTC; NULL is "not yet" or "not known". Receipts keep
-- what a provider answered, never what was sent.

-- +goose Up
CREATE TABLE incidents (
    id           TEXT PRIMARY KEY,
    token_id     TEXT NOT NULL UNIQUE REFERENCES tokens (id), -- further leaks are further places
    state        TEXT NOT NULL CHECK (state IN ('reported', 'revoking', 'dead', 'failed')),
    provider     TEXT NOT NULL, -- '' is this registry alone
    note         TEXT NOT NULL,
    leaked_at    INTEGER,       -- commit or log line, as it says itself
    found_at     INTEGER NOT NULL,
    matched_at   INTEGER NOT NULL,
    revoking_at  INTEGER,       -- the transaction that announced the revocation
    dead_at      INTEGER,       -- Verify refuses it from here on
    confirmed_at INTEGER,       -- the provider took it
    job_id       INTEGER        -- of the queue, while a provider is to be told
) STRICT;

CREATE TABLE incident_places (
    incident_id TEXT NOT NULL REFERENCES incidents (id),
    finding_id  TEXT NOT NULL REFERENCES findings (id),
    PRIMARY KEY (incident_id, finding_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE receipts (
    id          INTEGER PRIMARY KEY,
    incident_id TEXT NOT NULL REFERENCES incidents (id),
    provider    TEXT NOT NULL,
    outcome     TEXT NOT NULL,
    status      INTEGER NOT NULL, -- of HTTP, 0 without an answer
    answer_hash BLOB,             -- SHA-256 of the body
    detail      TEXT NOT NULL,
    at          INTEGER NOT NULL,
    took_us     INTEGER NOT NULL
) STRICT;
CREATE INDEX receipts_incident ON receipts (incident_id);

-- One process at a time tells a provider about an incident.
CREATE TABLE leases (
    incident_id TEXT PRIMARY KEY REFERENCES incidents (id),
    owner       TEXT NOT NULL,
    until       INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE leases;
DROP TABLE receipts;
DROP TABLE incident_places;
DROP TABLE incidents;
