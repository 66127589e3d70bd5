-- Positions are of files and no more of names: while one name's old file is read to its
-- end, its new file is read already. What was known goes on under the identity that its
-- findings have.

-- +goose Up
CREATE TABLE watch_files (
    id         TEXT PRIMARY KEY, -- names the file and no other that gets its name or inode
    path       TEXT NOT NULL,
    dev        INTEGER NOT NULL, -- device and inode, as int64
    ino        INTEGER NOT NULL,
    head_hash  BLOB NOT NULL,    -- of the file's first bytes
    offset     INTEGER NOT NULL,
    line       INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
INSERT INTO watch_files (id, path, dev, ino, head_hash, offset, line, updated_at)
    SELECT dev || ':' || ino, path, dev, ino, head_hash, offset, line, updated_at FROM watch_positions WHERE true
    ON CONFLICT DO NOTHING;
DROP TABLE watch_positions;

-- +goose Down
CREATE TABLE watch_positions (
    path       TEXT PRIMARY KEY,
    dev        INTEGER NOT NULL, -- file identity: device and inode, as int64
    ino        INTEGER NOT NULL,
    head_hash  BLOB NOT NULL,    -- of the file's first bytes
    offset     INTEGER NOT NULL,
    line       INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
INSERT INTO watch_positions (path, dev, ino, head_hash, offset, line, updated_at)
    SELECT path, dev, ino, head_hash, offset, line, updated_at FROM watch_files WHERE true ORDER BY updated_at DESC
    ON CONFLICT DO NOTHING;
DROP TABLE watch_files;
