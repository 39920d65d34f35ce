-- Any writer of these rows raises their revision and enters the journal; none can forget.
SELECT configuration_table(
    'bucket', 'tenant_id', 'name', 'region', 'versioning', 'storage_policy', 'ack', 'object_lock');
SELECT configuration_table('bucket_document', 'bucket_id', 'kind', 'body');

-- A document is part of its bucket: changing it raises the bucket's revision too.
CREATE FUNCTION raise_bucket_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE bucket SET name = name
    WHERE id = CASE WHEN TG_OP = 'DELETE' THEN OLD.bucket_id ELSE NEW.bucket_id END;
    RETURN NULL;
END
$$;
CREATE TRIGGER bucket_revision AFTER INSERT OR DELETE OR UPDATE OF bucket_id, kind, body
    ON bucket_document FOR EACH ROW EXECUTE FUNCTION raise_bucket_revision();

-- Advisory locks are computed here and nowhere else. Keys live in the one-bigint space, buckets in
-- the two-int space; a hash collision merely locks too much.
CREATE FUNCTION lock_key(bucket uuid, key text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT hashtextextended(key, uuid_hash_extended(bucket, 0))
$$;

-- (PL/pgSQL, because a row from an SQL function is planned anew by each statement that asks for it.)
CREATE FUNCTION lock_bucket(bucket uuid, OUT high integer, OUT low integer)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    hash bigint := uuid_hash_extended(bucket, 0);
BEGIN
    high := (hash >> 32)::integer;
    low := ((hash << 32) >> 32)::integer;
END
$$;
