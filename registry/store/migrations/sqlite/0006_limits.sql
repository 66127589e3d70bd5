-- A token may be good from some networks only, for a number of uses, and until it
-- is to be rotated.

-- +goose Up
ALTER TABLE tokens ADD COLUMN networks TEXT NOT NULL DEFAULT '[]'; -- JSON list of CIDR; none is everywhere
ALTER TABLE tokens ADD COLUMN max_uses INTEGER NOT NULL DEFAULT 0; -- 0 is any number
ALTER TABLE tokens ADD COLUMN rotate_by INTEGER;
ALTER TABLE tokens ADD COLUMN overdue_at INTEGER; -- a use after rotate_by was last told of

-- +goose Down
ALTER TABLE tokens DROP COLUMN overdue_at;
ALTER TABLE tokens DROP COLUMN rotate_by;
ALTER TABLE tokens DROP COLUMN max_uses;
ALTER TABLE tokens DROP COLUMN networks;
