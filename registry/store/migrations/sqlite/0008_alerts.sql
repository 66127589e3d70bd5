-- Alerts: what somebody must know now, written in the transaction of what it
-- tells (an outbox). Who was told is kept apart, per place it is delivered to.

-- +goose Up
CREATE TABLE alerts (
    id          INTEGER PRIMARY KEY, -- grows in the order of writing
    dedup_key   TEXT NOT NULL UNIQUE, -- one alert per key
    kind        TEXT NOT NULL,
    severity    TEXT NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    token_id    TEXT NOT NULL DEFAULT '',
    incident_id TEXT NOT NULL DEFAULT '',
    owner       TEXT NOT NULL DEFAULT '',
    title       TEXT NOT NULL,
    advice      TEXT NOT NULL,
    details     TEXT NOT NULL,        -- JSON object of strings: the numbers behind it
    at          INTEGER NOT NULL
) STRICT;
CREATE INDEX alerts_token ON alerts (token_id) WHERE token_id <> '';

-- +goose Down
DROP TABLE alerts;
