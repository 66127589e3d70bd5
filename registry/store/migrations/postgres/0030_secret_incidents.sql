-- Incidents of secrets that no token of the registry is: found by a rule, issued by
-- a provider, and known by their MAC.

-- +goose Up
ALTER TABLE incidents
    ALTER COLUMN token_id DROP NOT NULL, -- NULL of a secret
    ADD COLUMN secret_mac    bytea,                              -- of a secret, under the registry's pepper
    ADD COLUMN rule          text COLLATE "C" NOT NULL DEFAULT '', -- that found the secret
    ADD COLUMN hint          text COLLATE "C" NOT NULL DEFAULT '', -- what may be shown of it
    ADD COLUMN outcome       text COLLATE "C" NOT NULL DEFAULT '', -- of the last call to the provider
    ADD COLUMN automatic_at  bigint, -- a secret's revocation without a person: what the brake counts
    ADD COLUMN attempting_at bigint, -- a call whose answer is not known: it is checked before another
    ADD COLUMN accepted_at   bigint, -- the provider took it and has not ended it yet
    ADD COLUMN next_at       bigint, -- the provider asked not to be called before
    ADD UNIQUE (provider, secret_mac),
    DROP CONSTRAINT incidents_state_check,
    ADD CONSTRAINT incidents_state_check CHECK (state IN ('reported', 'asking', 'checking', 'revoking', 'dead', 'failed', 'dismissed'));
CREATE INDEX incidents_automatic ON incidents (automatic_at) WHERE automatic_at IS NOT NULL;

ALTER TABLE receipts ADD COLUMN call text COLLATE "C" NOT NULL DEFAULT ''; -- check or revoke; '' is a report

-- What has to be shown to a provider, sealed under a key that is not in the database.
-- Leave it out of backups: pg_dump --exclude-table-data='*.sealed_*'.
CREATE TABLE sealed_secrets (
    incident_id text COLLATE "C" PRIMARY KEY REFERENCES incidents (id),
    box         bytea NOT NULL,
    expires_at  bigint NOT NULL -- and is deleted then, whatever came of it
);

-- +goose Down
DROP TABLE sealed_secrets;
ALTER TABLE receipts DROP COLUMN call;
