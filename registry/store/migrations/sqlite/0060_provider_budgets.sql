-- How often a provider may be called, and whether it answers: one row for each that
-- was called, shared by all processes.

-- +goose Up
CREATE TABLE provider_budgets (
    provider TEXT PRIMARY KEY,
    next_at  INTEGER NOT NULL DEFAULT 0, -- when all calls so far are paid for
    failures INTEGER NOT NULL DEFAULT 0, -- in a row, without an answer
    until    INTEGER NOT NULL DEFAULT 0, -- not called before
    why      TEXT    NOT NULL DEFAULT ''
) STRICT;

-- +goose Down
DROP TABLE provider_budgets;
