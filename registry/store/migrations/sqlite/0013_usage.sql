-- How tokens are used: what was learned of each, whose alerts are not wanted for a
-- while, and how far access logs have been read.

-- +goose Up
CREATE TABLE usage_states (
    token_id   TEXT PRIMARY KEY REFERENCES tokens (id),
    state      BLOB NOT NULL,    -- as registry/usage encodes it; its first byte is the version
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE usage_mutes (
    token_id TEXT NOT NULL,      -- '' is all tokens
    signal   TEXT NOT NULL,
    until    INTEGER NOT NULL,
    actor    TEXT NOT NULL,
    reason   TEXT NOT NULL,
    PRIMARY KEY (token_id, signal)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage_logs (
    path       TEXT PRIMARY KEY,
    head       BLOB NOT NULL,    -- SHA-256 of the first head_len bytes, which tell a file that was replaced
    head_len   INTEGER NOT NULL,
    position   INTEGER NOT NULL, -- bytes read
    line       INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE usage_logs;
DROP TABLE usage_mutes;
DROP TABLE usage_states;
