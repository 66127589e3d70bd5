-- Whom alerts are delivered to, and how far each has been told. A target is told in
-- the order alerts were written, at least once.

-- +goose Up
CREATE TABLE notify_targets (
    name     TEXT PRIMARY KEY,
    alert_id INTEGER NOT NULL,            -- the last alert it was told, or had no business with
    failures INTEGER NOT NULL DEFAULT 0,  -- in a row
    next_at  INTEGER NOT NULL DEFAULT 0,  -- not tried again before
    error    TEXT NOT NULL DEFAULT '',    -- of the last failure
    owner    TEXT NOT NULL DEFAULT '',    -- the process that tells it now
    until    INTEGER NOT NULL DEFAULT 0   -- and until when it may
) STRICT;

-- Alerts that a target took in no form: told of, never silently lost.
CREATE TABLE notify_refused (
    target   TEXT NOT NULL,
    alert_id INTEGER NOT NULL REFERENCES alerts (id),
    error    TEXT NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (target, alert_id)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE notify_refused;
DROP TABLE notify_targets;
