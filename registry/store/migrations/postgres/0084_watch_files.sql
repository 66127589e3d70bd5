-- Positions are of files and no more of names: while one name's old file is read to its
-- end, its new file is read already. What was known goes on under the identity that its
-- findings have.

-- +goose Up
CREATE TABLE watch_files (
    id         text COLLATE "C" PRIMARY KEY, -- names the file and no other that gets its name or inode
    path       text COLLATE "C" NOT NULL,
    dev        bigint NOT NULL, -- device and inode, as int64
    ino        bigint NOT NULL,
    head_hash  bytea NOT NULL,    -- of the file's first bytes
    "offset"     bigint NOT NULL,
    line       bigint NOT NULL,
    updated_at bigint NOT NULL
);
INSERT INTO watch_files (id, path, dev, ino, head_hash, "offset", line, updated_at)
    SELECT dev || ':' || ino, path, dev, ino, head_hash, "offset", line, updated_at FROM watch_positions WHERE true
    ON CONFLICT DO NOTHING;
DROP TABLE watch_positions;

-- +goose Down
CREATE TABLE watch_positions (
    path       text COLLATE "C" PRIMARY KEY,
    dev        bigint NOT NULL, -- file identity: device and inode, as int64
    ino        bigint NOT NULL,
    head_hash  bytea NOT NULL,    -- of the file's first bytes
    "offset"     bigint NOT NULL,
    line       bigint NOT NULL,
    updated_at bigint NOT NULL
);
INSERT INTO watch_positions (path, dev, ino, head_hash, "offset", line, updated_at)
    SELECT path, dev, ino, head_hash, "offset", line, updated_at FROM watch_files WHERE true ORDER BY updated_at DESC
    ON CONFLICT DO NOTHING;
DROP TABLE watch_files;
