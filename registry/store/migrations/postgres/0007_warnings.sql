-- Warnings of deadlines that were given: each once for a token and a deadline.

-- +goose Up
CREATE TABLE token_warnings (
    token_id text COLLATE "C" NOT NULL REFERENCES tokens (id),
    kind     text COLLATE "C" NOT NULL,    -- expiry or rotation
    deadline bigint NOT NULL,
    before_s bigint NOT NULL, -- the warning of so many seconds before, 0 of the deadline itself
    PRIMARY KEY (token_id, kind, deadline, before_s)
);

-- +goose Down
DROP TABLE token_warnings;
