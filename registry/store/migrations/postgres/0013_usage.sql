-- How tokens are used: what was learned of each, whose alerts are not wanted for a
-- while, and how far access logs have been read.

-- +goose Up
CREATE TABLE usage_states (
    token_id   text COLLATE "C" PRIMARY KEY REFERENCES tokens (id),
    state      bytea NOT NULL,    -- as registry/usage encodes it; its first byte is the version
    updated_at bigint NOT NULL
);

CREATE TABLE usage_mutes (
    token_id text COLLATE "C" NOT NULL,      -- '' is all tokens
    signal   text COLLATE "C" NOT NULL,
    until    bigint NOT NULL,
    actor    text COLLATE "C" NOT NULL,
    reason   text COLLATE "C" NOT NULL,
    PRIMARY KEY (token_id, signal)
);

CREATE TABLE usage_logs (
    path       text COLLATE "C" PRIMARY KEY,
    head       bytea NOT NULL,    -- SHA-256 of the first head_len bytes, which tell a file that was replaced
    head_len   bigint NOT NULL,
    position   bigint NOT NULL, -- bytes read
    line       bigint NOT NULL,
    updated_at bigint NOT NULL
);

-- +goose Down
DROP TABLE usage_logs;
DROP TABLE usage_mutes;
DROP TABLE usage_states;
