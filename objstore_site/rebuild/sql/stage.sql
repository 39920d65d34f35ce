-- Where a snapshot's rows and the changes since are put before they are judged. All of it is gone with the
-- transaction.
CREATE TEMP TABLE event (
    xid bigint NOT NULL,
    id bigint NOT NULL,
    payload jsonb NOT NULL,
    kind text GENERATED ALWAYS AS (payload ->> 'kind') STORED,
    seq bigint GENERATED ALWAYS AS ((payload ->> 'seq')::bigint) STORED
) ON COMMIT DROP;
CREATE TEMP TABLE snap_tenant (payload jsonb NOT NULL) ON COMMIT DROP;
CREATE TEMP TABLE snap_account_user (payload jsonb NOT NULL) ON COMMIT DROP;
CREATE TEMP TABLE snap_access_key (payload jsonb NOT NULL) ON COMMIT DROP;
CREATE TEMP TABLE snap_audit (payload jsonb NOT NULL) ON COMMIT DROP;
CREATE TEMP TABLE snap_zone (payload jsonb NOT NULL) ON COMMIT DROP;
CREATE TEMP TABLE snap_node (payload jsonb NOT NULL) ON COMMIT DROP;
CREATE TEMP TABLE snap_drive (payload jsonb NOT NULL) ON COMMIT DROP;
CREATE TEMP TABLE snap_bucket (payload jsonb NOT NULL) ON COMMIT DROP;
CREATE TEMP TABLE snap_bucket_document (payload jsonb NOT NULL) ON COMMIT DROP;
CREATE TEMP TABLE snap_segment (payload jsonb NOT NULL) ON COMMIT DROP;
CREATE TEMP TABLE snap_version (payload jsonb NOT NULL) ON COMMIT DROP;
CREATE TEMP TABLE snap_upload (payload jsonb NOT NULL) ON COMMIT DROP;
CREATE TEMP TABLE snap_part (payload jsonb NOT NULL) ON COMMIT DROP;
CREATE TEMP TABLE snap_extent (payload jsonb NOT NULL) ON COMMIT DROP;
