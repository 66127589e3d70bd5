-- How often a provider may be called, and whether it answers: one row for each that
-- was called, shared by all processes.

-- +goose Up
CREATE TABLE provider_budgets (
    provider text COLLATE "C" PRIMARY KEY,
    next_at  bigint NOT NULL DEFAULT 0,            -- when all calls so far are paid for
    failures bigint NOT NULL DEFAULT 0,            -- in a row, without an answer
    until    bigint NOT NULL DEFAULT 0,            -- not called before
    why      text COLLATE "C" NOT NULL DEFAULT ''
);

-- +goose Down
DROP TABLE provider_budgets;
