-- One commit row of each kind that concerns a single key. Called by commit_versions with the key locked,
-- the bucket locked shared and the decision re-checked; never by anybody else.

CREATE TYPE commit_outcome AS (
    outcome text,               -- done, or why not: precondition, absent, locked, no_upload, parts, ...
    version_id uuid,
    seq bigint,
    last_modified timestamptz,
    is_null boolean,
    is_marker boolean,
    bytes bigint,               -- what the bucket's usage changes by
    objects bigint,
    versions bigint
);

-- The newest version of a key, marker or not; all NULL when there is none.
CREATE FUNCTION newest_version(the_bucket uuid, the_key text) RETURNS version
LANGUAGE sql STABLE AS $$
    SELECT * FROM version WHERE bucket_id = the_bucket AND key = the_key ORDER BY rank LIMIT 1
$$;

-- Why a write may not follow `old`; NULL when it may. `conditions`: match, none_match (arrays of etags or
-- "*"), size, modified.
CREATE FUNCTION judge_write(conditions jsonb, old version) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    present boolean := old.id IS NOT NULL AND NOT old.is_marker;
BEGIN
    IF present AND conditions -> 'none_match' ?| ARRAY['*', old.etag] THEN
        RETURN 'precondition';
    END IF;
    IF conditions ? 'match' THEN
        IF NOT present THEN
            RETURN 'absent';
        END IF;
        IF NOT conditions -> 'match' ?| ARRAY['*', old.etag] THEN
            RETURN 'precondition';
        END IF;
    END IF;
    RETURN NULL;
END
$$;

-- The same for a delete of `old`; what is not there may be deleted.
CREATE FUNCTION judge_delete(conditions jsonb, old version) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF old.id IS NULL OR conditions IS NULL THEN
        RETURN NULL;
    END IF;
    IF conditions ? 'match' AND NOT conditions -> 'match' ? '*'
       AND (old.is_marker OR NOT conditions -> 'match' ? old.etag) THEN
        RETURN 'precondition';
    END IF;
    IF conditions ? 'size'
       AND (old.is_marker OR old.size <> (conditions ->> 'size')::bigint) THEN
        RETURN 'precondition';
    END IF;
    IF conditions ? 'modified'
       AND (old.is_marker OR old.last_modified <> (conditions ->> 'modified')::timestamptz) THEN
        RETURN 'precondition';
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION drop_version(the_id uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM extent WHERE version_id = the_id;
    DELETE FROM version WHERE id = the_id;
END
$$;

-- Make room for a new newest version over `old`, which exists. A write with id `null` removes the null
-- version wherever it ranks; what is newest and stays is superseded. Adds to the usage in `so_far`.
CREATE FUNCTION make_way(old version, with_null boolean, moment timestamptz, INOUT so_far commit_outcome)
LANGUAGE plpgsql AS $$
DECLARE
    gone version;
BEGIN
    IF with_null THEN
        IF old.is_null THEN
            gone := old;
        ELSE
            SELECT * INTO gone FROM version
            WHERE bucket_id = old.bucket_id AND key = old.key AND is_null;
        END IF;
        IF gone.id IS NOT NULL THEN
            PERFORM drop_version(gone.id);
            so_far.bytes := so_far.bytes - gone.size;
            so_far.versions := so_far.versions - 1;
        END IF;
    END IF;
    IF NOT (with_null AND old.is_null) THEN
        UPDATE version SET is_latest = false, superseded_at = moment WHERE id = old.id;
    END IF;
    IF NOT old.is_marker THEN
        so_far.objects := so_far.objects - 1;
    END IF;
END
$$;

-- Extents as [segment, offset, record_size, skip, length].
CREATE FUNCTION add_extents(the_version uuid, the_part uuid, extents jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    one jsonb;
BEGIN
    FOR place IN 0 .. jsonb_array_length(extents) - 1 LOOP
        one := extents -> place;
        INSERT INTO extent
            (version_id, part_id, position, segment_id, "offset", record_size, skip, length)
        VALUES (
            the_version, the_part, place, (one ->> 0)::uuid, (one ->> 1)::bigint,
            (one ->> 2)::bigint, (one ->> 3)::bigint, (one ->> 4)::bigint
        );
    END LOOP;
END
$$;

-- `made` as the newest version of its key, as `result` has it.
CREATE FUNCTION become_newest(made version, result commit_outcome) RETURNS version
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    made.rank := -result.seq;
    made.is_latest := true;
    made.is_marker := false;
    made.is_null := result.is_null;
    made.last_modified := result.last_modified;
    RETURN made;
END
$$;

-- Delete without a version id: a marker, or in a bucket that never had versioning the object itself.
-- `body`: bucket_id, key, and the marker's id.
CREATE FUNCTION commit_delete(body jsonb, conditions jsonb, versioning text, moment timestamptz)
RETURNS commit_outcome LANGUAGE plpgsql AS $$
DECLARE
    the_bucket uuid := body ->> 'bucket_id';
    the_key text := body ->> 'key';
    old version := newest_version(the_bucket, the_key);
    result commit_outcome;
BEGIN
    result.outcome := judge_delete(conditions, old);
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    -- A condition upon nothing deletes nothing: no marker is made either.
    IF versioning = '' OR old.id IS NULL AND conditions IS NOT NULL THEN
        RETURN remove_version(old, moment);
    END IF;
    result := ROW('done', (body ->> 'id')::uuid, nextval('version_seq'),
                  greatest(moment, old.last_modified), versioning <> 'Enabled', true, 0, 0, 1
                 )::commit_outcome;
    IF old.id IS NOT NULL THEN
        result := make_way(old, result.is_null, result.last_modified, result);
    END IF;
    INSERT INTO version (
        id, bucket_id, key, rank, is_latest, is_marker, is_null, size, etag, headers, metadata, tags,
        storage_class, storage_policy, owner_id, lock_hold, last_modified
    ) VALUES (
        result.version_id, the_bucket, the_key, -result.seq, true, true, result.is_null, 0, '', '{}',
        '{}', '{}', 'STANDARD', '', (body ->> 'owner_id')::uuid, false, result.last_modified
    );
    INSERT INTO change (kind, bucket_id, key, seq, body) VALUES (
        'marker', the_bucket, the_key, result.seq,
        body || jsonb_build_object('is_null', result.is_null, 'last_modified', result.last_modified)
    );
    RETURN result;
END
$$;

-- Delete with a version id (absent: the null version). `body`: bucket_id, key, version_id, bypass.
CREATE FUNCTION commit_delete_version(body jsonb, conditions jsonb, moment timestamptz)
RETURNS commit_outcome LANGUAGE plpgsql AS $$
DECLARE
    the_bucket uuid := body ->> 'bucket_id';
    the_key text := body ->> 'key';
    the_id uuid := body ->> 'version_id';
    old version;
    result commit_outcome;
BEGIN
    IF the_id IS NULL THEN
        SELECT * INTO old FROM version WHERE bucket_id = the_bucket AND key = the_key AND is_null;
    ELSE
        -- The null version is not found under the id it has inside.
        SELECT * INTO old FROM version
        WHERE id = the_id AND bucket_id = the_bucket AND key = the_key AND NOT is_null;
    END IF;
    result.outcome := judge_delete(conditions, old);
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    IF old.lock_hold
       OR old.lock_until > clock_timestamp()
          AND NOT (old.lock_mode = 'GOVERNANCE' AND coalesce((body ->> 'bypass')::boolean, false)) THEN
        result.outcome := 'locked';
        RETURN result;
    END IF;
    IF old.lock_mode = 'GOVERNANCE' THEN
        PERFORM set_config('objstore.bypass_governance', 'on', true);
        result := remove_version(old, moment);
        PERFORM set_config('objstore.bypass_governance', '', true);
        RETURN result;
    END IF;
    RETURN remove_version(old, moment);
END
$$;

-- Remove `old` for good and let the next one surface. Nothing to remove is done as well.
CREATE FUNCTION remove_version(old version, moment timestamptz) RETURNS commit_outcome
LANGUAGE plpgsql AS $$
DECLARE
    result commit_outcome := ROW('done', old.id, NULL, NULL, old.is_null, old.is_marker, 0, 0, 0);
    risen boolean;
BEGIN
    IF old.id IS NULL THEN
        RETURN result;
    END IF;
    PERFORM drop_version(old.id);
    result.seq := nextval('version_seq');
    result.bytes := -old.size;
    result.versions := -1;
    IF old.is_latest THEN
        UPDATE version SET is_latest = true, superseded_at = NULL
        WHERE id = (newest_version(old.bucket_id, old.key)).id
        RETURNING NOT is_marker INTO risen;
        result.objects := coalesce(risen, false)::integer - (NOT old.is_marker)::integer;
    END IF;
    INSERT INTO change (kind, bucket_id, key, seq, body) VALUES (
        'delete', old.bucket_id, old.key, result.seq,
        jsonb_build_object('id', old.id, 'size', old.size)
    );
    RETURN result;
END
$$;

-- Change what may change of a version: tags, acl, lock, replication status. `body`: bucket_id, key, and
-- version_id (absent: the current version; `null`: the null one); `set` names the columns.
CREATE FUNCTION commit_amend(body jsonb)
RETURNS commit_outcome LANGUAGE plpgsql AS $$
DECLARE
    the_bucket uuid := body ->> 'bucket_id';
    the_key text := body ->> 'key';
    wanted jsonb := body -> 'set';
    old version;
    result commit_outcome;
BEGIN
    IF NOT body ? 'version_id' THEN
        old := newest_version(the_bucket, the_key);
    ELSIF body ->> 'version_id' IS NULL THEN
        SELECT * INTO old FROM version WHERE bucket_id = the_bucket AND key = the_key AND is_null;
    ELSE
        SELECT * INTO old FROM version WHERE id = (body ->> 'version_id')::uuid
            AND bucket_id = the_bucket AND key = the_key AND NOT is_null;
    END IF;
    IF old.id IS NULL OR old.is_marker THEN
        result.outcome := CASE WHEN old.is_marker THEN 'marker' ELSE 'absent' END;
        RETURN result;
    END IF;
    result := ROW('done', old.id, nextval('version_seq'), old.last_modified, old.is_null, false, 0, 0, 0
                 )::commit_outcome;
    UPDATE version SET
        tags = coalesce(wanted -> 'tags', tags),
        acl = CASE WHEN wanted ? 'acl' THEN wanted ->> 'acl' ELSE acl END,
        lock_mode = CASE WHEN wanted ? 'lock_mode' THEN wanted ->> 'lock_mode' ELSE lock_mode END,
        lock_until = CASE WHEN wanted ? 'lock_until' THEN (wanted ->> 'lock_until')::timestamptz
                     ELSE lock_until END,
        lock_hold = coalesce((wanted ->> 'lock_hold')::boolean, lock_hold),
        replication = CASE WHEN wanted ? 'replication' THEN wanted ->> 'replication'
                      ELSE replication END
    WHERE id = old.id;
    INSERT INTO change (kind, bucket_id, key, seq, body) VALUES (
        'amend', the_bucket, the_key, result.seq, jsonb_build_object('id', old.id, 'set', wanted)
    );
    RETURN result;
END
$$;
