-- A token may be good from some countries only.

-- +goose Up
ALTER TABLE tokens ADD COLUMN countries TEXT NOT NULL DEFAULT '[]'; -- JSON list of ISO 3166-1 codes; none is everywhere

-- +goose Down
ALTER TABLE tokens DROP COLUMN countries;
