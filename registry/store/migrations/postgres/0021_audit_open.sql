-- What may name persons is in a leaf as a salted hash only; its text and salt lie
-- beside it, and can be erased. Old events can leave the database: a segment says
-- which, with the signed tree up to its end, and their hashes stay.

-- +goose Up
ALTER TABLE audit_leaves ADD COLUMN open bytea;
CREATE TABLE audit_segments (
    to_idx     bigint PRIMARY KEY, -- the first event after it
    from_idx   bigint NOT NULL,
    checkpoint bytea NOT NULL,     -- signed note of the tree of to_idx events
    dropped_at bigint NOT NULL
);

-- +goose Down
DROP TABLE audit_segments;
ALTER TABLE audit_leaves DROP COLUMN open;
