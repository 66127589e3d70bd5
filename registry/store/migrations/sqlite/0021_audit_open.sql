-- What may name persons is in a leaf as a salted hash only; its text and salt lie
-- beside it, and can be erased. Old events can leave the database: a segment says
-- which, with the signed tree up to its end, and their hashes stay.

-- +goose Up
ALTER TABLE audit_leaves ADD COLUMN open BLOB;
CREATE TABLE audit_segments (
    to_idx     INTEGER PRIMARY KEY, -- the first event after it
    from_idx   INTEGER NOT NULL,
    checkpoint BLOB NOT NULL,       -- signed note of the tree of to_idx events
    dropped_at INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE audit_segments;
ALTER TABLE audit_leaves DROP COLUMN open;
