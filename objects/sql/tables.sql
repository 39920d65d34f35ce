-- What Django cannot say about the tables of objects: expression checks, order, storage, partitions.

-- Order of versions per key. No cache: a value taken under the key's lock must exceed every earlier one.
CREATE SEQUENCE version_seq CACHE 1;

ALTER TABLE version ADD CONSTRAINT version_key CHECK (octet_length(key) BETWEEN 1 AND 1024);
ALTER TABLE upload ADD CONSTRAINT upload_key CHECK (octet_length(key) BETWEEN 1 AND 1024);

-- Only versions that have tags or metadata pay for finding them by these.
CREATE INDEX version_tags ON version USING gin (tags jsonb_path_ops) WHERE tags <> '{}';
CREATE INDEX version_metadata ON version USING gin (metadata jsonb_path_ops) WHERE metadata <> '{}';

-- Dead index entries are walked by every listing that passes them: clean early and often.
ALTER TABLE version SET (
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 1
);
ALTER TABLE extent SET (
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 1
);

-- One row per bucket and commit batch; folded into `usage` and deleted by a job.
CREATE TABLE usage_delta (
    bucket_id uuid NOT NULL,
    bytes bigint NOT NULL,
    objects bigint NOT NULL,
    versions bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (at);
CREATE TABLE usage_delta_default PARTITION OF usage_delta DEFAULT;

-- What sweep_uploads found to rest: since when it knows, and the last part there was then. No news to
-- the journal: where it is lost, uploads are aborted a round later.
CREATE TABLE upload_found_stale (
    upload_id uuid PRIMARY KEY REFERENCES upload ON DELETE CASCADE,
    part_seq bigint NOT NULL,
    since timestamptz NOT NULL
);
