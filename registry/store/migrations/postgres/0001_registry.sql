-- The registry: tokens, what was found, where watching stands, and the audit
-- log. All times are microseconds since 1970 UTC; NULL is "never". No column
-- of any table holds a token's bytes: only MACs, fingerprints and hints.

-- +goose Up
CREATE TABLE meta (
    key   text COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL
);

CREATE TABLE tokens (
    id             text COLLATE "C" PRIMARY KEY,
    key_id         bytea NOT NULL CHECK (length(key_id) = 4),
    mac            bytea NOT NULL CHECK (length(mac) = 32),
    fingerprint    bigint NOT NULL, -- 64 bits, keyed, for the set in memory
    origin         text COLLATE "C" NOT NULL CHECK (origin IN ('issued', 'imported')),
    hint           text COLLATE "C" NOT NULL,
    owner          text COLLATE "C" NOT NULL CHECK (owner <> ''),
    purpose        text COLLATE "C" NOT NULL CHECK (purpose <> ''),
    env            text COLLATE "C" NOT NULL,
    provider       text COLLATE "C" NOT NULL,    -- '' is this registry
    scopes         text COLLATE "C" NOT NULL,    -- JSON array of action:resource
    tags           text COLLATE "C" NOT NULL,    -- JSON array
    state          text COLLATE "C" NOT NULL CHECK (state IN ('live', 'suspended', 'revoked')),
    created_at     bigint NOT NULL,
    expires_at     bigint,
    revoked_at     bigint,
    revoked_by     text COLLATE "C" NOT NULL DEFAULT '',
    revoked_reason text COLLATE "C" NOT NULL DEFAULT '',
    last_used_at   bigint,
    uses           bigint NOT NULL DEFAULT 0,
    shape_len      bigint NOT NULL,
    shape_extra    text COLLATE "C" NOT NULL,
    hard_to_find   text COLLATE "C" NOT NULL DEFAULT '[]', -- JSON array of contexts
    -- seq grows with every insert and every change that the match set must
    -- see, so that readers load only what is new; recording a use leaves it.
    seq            bigint NOT NULL,
    UNIQUE (mac, key_id)
);
CREATE UNIQUE INDEX tokens_seq ON tokens (seq);
CREATE INDEX tokens_owner ON tokens (owner);
CREATE INDEX tokens_shape ON tokens (shape_len, shape_extra);

CREATE TABLE findings (
    id           text COLLATE "C" PRIMARY KEY,
    source       text COLLATE "C" NOT NULL, -- kind of source and what it was opened on
    identity     text COLLATE "C" NOT NULL, -- blob, or file identity, or path
    "offset"     bigint NOT NULL,
    rule         text COLLATE "C" NOT NULL,
    path         text COLLATE "C" NOT NULL,
    line         bigint NOT NULL,
    commit_id    text COLLATE "C" NOT NULL,
    redacted     text COLLATE "C" NOT NULL,
    confidence   text COLLATE "C" NOT NULL,
    token_id     text COLLATE "C" REFERENCES tokens (id),
    finding_id   text COLLATE "C" NOT NULL, -- the finding's id in reports
    found_at     bigint NOT NULL,
    UNIQUE (source, identity, "offset", rule)
);
CREATE INDEX findings_token ON findings (token_id) WHERE token_id IS NOT NULL;

CREATE TABLE watch_positions (
    path       text COLLATE "C" PRIMARY KEY,
    dev        bigint NOT NULL, -- file identity: device and inode, as int64
    ino        bigint NOT NULL,
    head_hash  bytea NOT NULL,    -- of the file's first bytes
    "offset"   bigint NOT NULL,
    line       bigint NOT NULL,
    updated_at bigint NOT NULL
);

-- audit_leaves is a transparency log: data is what is hashed, byte for byte;
-- token_id repeats a field of it for the index, and verify compares them.
CREATE TABLE audit_leaves (
    idx      bigint PRIMARY KEY,
    token_id text COLLATE "C" NOT NULL,
    data     bytea NOT NULL
);
CREATE INDEX audit_token ON audit_leaves (token_id) WHERE token_id <> '';

-- audit_hashes is indexed as golang.org/x/mod/sumdb/tlog.StoredHashIndex says.
CREATE TABLE audit_hashes (
    idx  bigint PRIMARY KEY,
    hash bytea NOT NULL CHECK (length(hash) = 32)
);

-- +goose Down
DROP TABLE audit_hashes;
DROP TABLE audit_leaves;
DROP TABLE watch_positions;
DROP TABLE findings;
DROP TABLE tokens;
DROP TABLE meta;
