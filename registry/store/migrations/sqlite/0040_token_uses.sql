-- How often a token was used, apart from the token: a use writes a row of thirty
-- bytes, a hundred of which share a page, and not one of half a kilobyte.

-- +goose Up
CREATE TABLE token_uses (
    token_id     TEXT PRIMARY KEY REFERENCES tokens (id),
    uses         INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO token_uses (token_id, uses, last_used_at)
    SELECT id, uses, coalesce(last_used_at, created_at) FROM tokens WHERE uses > 0 ORDER BY id;
ALTER TABLE tokens DROP COLUMN uses;
ALTER TABLE tokens DROP COLUMN last_used_at;

-- +goose Down
ALTER TABLE tokens ADD COLUMN last_used_at INTEGER;
ALTER TABLE tokens ADD COLUMN uses INTEGER NOT NULL DEFAULT 0;
UPDATE tokens SET uses = (SELECT uses FROM token_uses WHERE token_id = id), last_used_at = (SELECT last_used_at FROM token_uses WHERE token_id = id)
    WHERE id IN (SELECT token_id FROM token_uses);
DROP TABLE token_uses;
