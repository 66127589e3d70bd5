-- Whom alerts are delivered to, and how far each has been told. A target is told in
-- the order alerts were written, at least once.

-- +goose Up
CREATE TABLE notify_targets (
    name     text COLLATE "C" PRIMARY KEY,
    alert_id bigint NOT NULL,                       -- the last alert it was told, or had no business with
    failures bigint NOT NULL DEFAULT 0,             -- in a row
    next_at  bigint NOT NULL DEFAULT 0,             -- not tried again before
    error    text COLLATE "C" NOT NULL DEFAULT '',  -- of the last failure
    owner    text COLLATE "C" NOT NULL DEFAULT '',  -- the process that tells it now
    until    bigint NOT NULL DEFAULT 0              -- and until when it may
);

-- Alerts that a target took in no form: told of, never silently lost.
CREATE TABLE notify_refused (
    target   text COLLATE "C" NOT NULL,
    alert_id bigint NOT NULL REFERENCES alerts (id),
    error    text COLLATE "C" NOT NULL,
    at       bigint NOT NULL,
    PRIMARY KEY (target, alert_id)
);

-- +goose Down
DROP TABLE notify_refused;
DROP TABLE notify_targets;
