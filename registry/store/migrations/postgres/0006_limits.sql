-- A token may be good from some networks only, for a number of uses, and until it
-- is to be rotated.

-- +goose Up
ALTER TABLE tokens ADD COLUMN networks text COLLATE "C" NOT NULL DEFAULT '[]'; -- JSON list of CIDR; none is everywhere
ALTER TABLE tokens ADD COLUMN max_uses bigint NOT NULL DEFAULT 0; -- 0 is any number
ALTER TABLE tokens ADD COLUMN rotate_by bigint;
ALTER TABLE tokens ADD COLUMN overdue_at bigint; -- a use after rotate_by was last told of

-- +goose Down
ALTER TABLE tokens DROP COLUMN overdue_at;
ALTER TABLE tokens DROP COLUMN rotate_by;
ALTER TABLE tokens DROP COLUMN max_uses;
ALTER TABLE tokens DROP COLUMN networks;
