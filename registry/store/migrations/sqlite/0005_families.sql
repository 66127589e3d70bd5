-- A token that is rotated has a successor of the same family, which is named after
-- its first member.

-- +goose Up
ALTER TABLE tokens ADD COLUMN family TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN predecessor TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN brand TEXT NOT NULL DEFAULT ''; -- that an issued one begins with, where it is known
UPDATE tokens SET family = id;
CREATE INDEX tokens_family ON tokens (family);

-- +goose Down
DROP INDEX tokens_family;
ALTER TABLE tokens DROP COLUMN brand;
ALTER TABLE tokens DROP COLUMN predecessor;
ALTER TABLE tokens DROP COLUMN family;
