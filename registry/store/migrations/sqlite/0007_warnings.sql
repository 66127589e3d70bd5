-- Warnings of deadlines that were given: each once for a token and a deadline.

-- +goose Up
CREATE TABLE token_warnings (
    token_id TEXT NOT NULL REFERENCES tokens (id),
    kind     TEXT NOT NULL,    -- expiry or rotation
    deadline INTEGER NOT NULL,
    before_s INTEGER NOT NULL, -- the warning of so many seconds before, 0 of the deadline itself
    PRIMARY KEY (token_id, kind, deadline, before_s)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE token_warnings;
