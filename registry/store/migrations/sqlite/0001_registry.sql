-- The registry: tokens, what was found, where watching stands, and the audit
-- log. All times are microseconds since 1970 UTC; NULL is "never". No column
-- of any table holds a token's bytes: only MACs, fingerprints and hints.

-- +goose Up
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
    id             TEXT PRIMARY KEY,
    key_id         BLOB NOT NULL CHECK (length(key_id) = 4),
    mac            BLOB NOT NULL CHECK (length(mac) = 32),
    fingerprint    INTEGER NOT NULL, -- 64 bits, keyed, for the set in memory
    origin         TEXT NOT NULL CHECK (origin IN ('issued', 'imported')),
    hint           TEXT NOT NULL,
    owner          TEXT NOT NULL CHECK (owner <> ''),
    purpose        TEXT NOT NULL CHECK (purpose <> ''),
    env            TEXT NOT NULL,
    provider       TEXT NOT NULL,    -- '' is this registry
    scopes         TEXT NOT NULL,    -- JSON array of action:resource
    tags           TEXT NOT NULL,    -- JSON array
    state          TEXT NOT NULL CHECK (state IN ('live', 'suspended', 'revoked')),
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER,
    revoked_at     INTEGER,
    revoked_by     TEXT NOT NULL DEFAULT '',
    revoked_reason TEXT NOT NULL DEFAULT '',
    last_used_at   INTEGER,
    uses           INTEGER NOT NULL DEFAULT 0,
    shape_len      INTEGER NOT NULL,
    shape_extra    TEXT NOT NULL,
    hard_to_find   TEXT NOT NULL DEFAULT '[]', -- JSON array of contexts
    -- seq grows with every insert and every change that the match set must
    -- see, so that readers load only what is new; recording a use leaves it.
    seq            INTEGER NOT NULL,
    UNIQUE (mac, key_id)
) STRICT;
CREATE UNIQUE INDEX tokens_seq ON tokens (seq);
CREATE INDEX tokens_owner ON tokens (owner);
CREATE INDEX tokens_shape ON tokens (shape_len, shape_extra);

CREATE TABLE findings (
    id           TEXT PRIMARY KEY,
    source       TEXT NOT NULL, -- kind of source and what it was opened on
    identity     TEXT NOT NULL, -- blob, or file identity, or path
    offset       INTEGER NOT NULL,
    rule         TEXT NOT NULL,
    path         TEXT NOT NULL,
    line         INTEGER NOT NULL,
    commit_id    TEXT NOT NULL,
    redacted     TEXT NOT NULL,
    confidence   TEXT NOT NULL,
    token_id     TEXT REFERENCES tokens (id),
    finding_id   TEXT NOT NULL, -- the finding's id in reports
    found_at     INTEGER NOT NULL,
    UNIQUE (source, identity, offset, rule)
) STRICT;
CREATE INDEX findings_token ON findings (token_id) WHERE token_id IS NOT NULL;

CREATE TABLE watch_positions (
    path       TEXT PRIMARY KEY,
    dev        INTEGER NOT NULL, -- file identity: device and inode, as int64
    ino        INTEGER NOT NULL,
    head_hash  BLOB NOT NULL,    -- of the file's first bytes
    offset     INTEGER NOT NULL,
    line       INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- audit_leaves is a transparency log: data is what is hashed, byte for byte;
-- token_id repeats a field of it for the index, and verify compares them.
CREATE TABLE audit_leaves (
    idx      INTEGER PRIMARY KEY,
    token_id TEXT NOT NULL,
    data     BLOB NOT NULL
) STRICT;
CREATE INDEX audit_token ON audit_leaves (token_id) WHERE token_id <> '';

-- audit_hashes is indexed as golang.org/x/mod/sumdb/tlog.StoredHashIndex says.
CREATE TABLE audit_hashes (
    idx  INTEGER PRIMARY KEY,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- +goose Down
DROP TABLE audit_hashes;
DROP TABLE audit_leaves;
DROP TABLE watch_positions;
DROP TABLE findings;
DROP TABLE tokens;
DROP TABLE meta;
