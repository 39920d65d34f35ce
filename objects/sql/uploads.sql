-- Commit rows of multipart uploads. Called by commit_versions with the upload locked (and the key too,
-- where a version is made); abort_stale is called by background work and takes the lock itself.

CREATE FUNCTION commit_upload(body jsonb, moment timestamptz)
RETURNS commit_outcome LANGUAGE plpgsql AS $$
DECLARE
    made upload := jsonb_populate_record(NULL::upload, body);
    result commit_outcome;
BEGIN
    made.initiated := moment;
    made.state := 'open';
    INSERT INTO upload VALUES (made.*);
    result := ROW('done', made.id, nextval('version_seq'), moment, false, false, 0, 0, 0);
    INSERT INTO change (kind, bucket_id, key, seq, body) VALUES (
        'upload', made.bucket_id, made.key, result.seq,
        body || jsonb_build_object('initiated', moment)
    );
    RETURN result;
END
$$;

CREATE FUNCTION drop_parts(ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM extent WHERE part_id = ANY (ids);
    DELETE FROM part WHERE id = ANY (ids);
END
$$;

-- A part; the last one to finish under its number stays. `body`: the columns of `part`, bucket_id, key,
-- extents.
CREATE FUNCTION commit_part(body jsonb, moment timestamptz)
RETURNS commit_outcome LANGUAGE plpgsql AS $$
DECLARE
    made part := jsonb_populate_record(NULL::part, body);
    result commit_outcome;
BEGIN
    IF NOT EXISTS (SELECT FROM upload WHERE id = made.upload_id AND state = 'open') THEN
        result.outcome := 'no_upload';
        RETURN result;
    END IF;
    PERFORM drop_parts(ARRAY(
        SELECT id FROM part WHERE upload_id = made.upload_id AND number = made.number));
    made.seq := nextval('version_seq');
    made.last_modified := moment;
    result := ROW('done', made.id, made.seq, moment, false, false, 0, 0, 0);
    INSERT INTO part VALUES (made.*);
    PERFORM add_extents(NULL, made.id, body -> 'extents');
    INSERT INTO change (kind, bucket_id, key, seq, body) VALUES (
        'part', (body ->> 'bucket_id')::uuid, body ->> 'key', made.seq,
        body || jsonb_build_object('last_modified', moment)
    );
    RETURN result;
END
$$;

-- Hold the segments of these parts' extents where they are; false when one cannot be referred to.
-- A rewrite that won the race has moved extents elsewhere: look again until nothing moved.
CREATE FUNCTION hold_parts(ids uuid[]) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    wanted uuid[];
    held uuid[] := '{}';
BEGIN
    LOOP
        wanted := ARRAY(
            SELECT DISTINCT segment_id FROM extent WHERE part_id = ANY (ids) ORDER BY segment_id);
        IF wanted <@ held THEN
            RETURN true;
        END IF;
        IF false = ANY (segments_referable(wanted)) THEN
            RETURN false;
        END IF;
        held := wanted;
    END LOOP;
END
$$;

-- Make a version of the parts listed, in their order. `body`: the columns of `version`, upload_id,
-- part_ids (as read when the list was checked) and `completed`, what a retry is compared with.
CREATE FUNCTION commit_complete(body jsonb, conditions jsonb, versioning text, moment timestamptz)
RETURNS commit_outcome LANGUAGE plpgsql AS $$
DECLARE
    made version := jsonb_populate_record(NULL::version, body);
    the_upload uuid := body ->> 'upload_id';
    listed uuid[] := ARRAY(SELECT jsonb_array_elements_text(body -> 'part_ids')::uuid);
    old version := newest_version(made.bucket_id, made.key);
    extents jsonb;
    result commit_outcome;
BEGIN
    IF NOT EXISTS (SELECT FROM upload WHERE id = the_upload AND state = 'open') THEN
        result.outcome := 'no_upload';
        RETURN result;
    END IF;
    IF cardinality(listed)
       <> (SELECT count(*) FROM unnest(listed) AS wanted (id)
           JOIN part p ON p.id = wanted.id AND p.upload_id = the_upload) THEN
        result.outcome := 'parts';
        RETURN result;
    END IF;
    IF conditions IS NOT NULL THEN
        result.outcome := judge_write(conditions, old);
        IF result.outcome IS NOT NULL THEN
            RETURN result;
        END IF;
    END IF;
    IF NOT hold_parts(listed) THEN
        result.outcome := 'parts';
        RETURN result;
    END IF;
    result := ROW('done', made.id, nextval('version_seq'), greatest(moment, old.last_modified),
                  versioning <> 'Enabled', false, made.size, 1, 1)::commit_outcome;
    IF old.id IS NOT NULL THEN
        result := make_way(old, result.is_null, result.last_modified, result);
    END IF;
    made := become_newest(made, result);
    INSERT INTO version VALUES (made.*);
    UPDATE extent SET version_id = made.id, part_id = NULL, position = placed.position
    FROM (
        SELECT e.id, row_number() OVER (ORDER BY p.number, e.position) - 1 AS position
        FROM part p JOIN extent e ON e.part_id = p.id
        WHERE p.id = ANY (listed)
    ) placed
    WHERE extent.id = placed.id;
    PERFORM drop_parts(ARRAY(SELECT id FROM part WHERE upload_id = the_upload));
    UPDATE upload SET state = 'completed', completed = body -> 'completed',
        completed_at = clock_timestamp(), version_id = made.id
    WHERE id = the_upload;
    SELECT coalesce(jsonb_agg(
        jsonb_build_array(segment_id, "offset", record_size, skip, length) ORDER BY position), '[]')
    INTO extents FROM extent WHERE version_id = made.id;
    INSERT INTO change (kind, bucket_id, key, seq, body) VALUES (
        'complete', made.bucket_id, made.key, result.seq,
        (body - 'part_ids') || jsonb_build_object(
            'is_null', made.is_null, 'last_modified', made.last_modified, 'extents', extents,
            'completed_at', (SELECT completed_at FROM upload WHERE id = the_upload))
    );
    RETURN result;
END
$$;

CREATE FUNCTION commit_abort(body jsonb, moment timestamptz)
RETURNS commit_outcome LANGUAGE plpgsql AS $$
DECLARE
    the_upload uuid := body ->> 'upload_id';
    result commit_outcome;
BEGIN
    IF NOT EXISTS (SELECT FROM upload WHERE id = the_upload AND state = 'open') THEN
        result.outcome := 'no_upload';
        RETURN result;
    END IF;
    PERFORM drop_parts(ARRAY(SELECT id FROM part WHERE upload_id = the_upload));
    DELETE FROM upload WHERE id = the_upload;
    result := ROW('done', NULL, nextval('version_seq'), moment, false, false, 0, 0, 0);
    INSERT INTO change (kind, bucket_id, key, seq, body) VALUES (
        'abort', (body ->> 'bucket_id')::uuid, body ->> 'key', result.seq, body
    );
    RETURN result;
END
$$;

-- abort_stale: abort an upload that saw nothing happen for so long; true when this call did. Parts
-- commit under the upload's lock, so the one looked at here is the last.
--
-- The clock may have jumped, and then every upload looks old. So one is aborted only when an earlier
-- call found it just as it is now, `certain` ago: a jump before that call does not pass for the time
-- since, and what was found before a jump had rested without it. An upload whose client lives has
-- that long to send a part.
CREATE FUNCTION abort_stale(the_id uuid, older_than interval, certain interval)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    it upload%ROWTYPE;
    latest timestamptz;
    latest_seq bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(lock_key(the_id, ''));
    SELECT * INTO it FROM upload WHERE id = the_id AND state = 'open';
    SELECT max(last_modified), coalesce(max(seq), 0) INTO latest, latest_seq
      FROM part WHERE upload_id = the_id;
    IF it.id IS NULL OR greatest(it.initiated, latest) >= clock_timestamp() - older_than THEN
        RETURN false;
    END IF;
    INSERT INTO upload_found_stale AS known VALUES (the_id, latest_seq, clock_timestamp())
    ON CONFLICT (upload_id) DO UPDATE SET part_seq = excluded.part_seq, since = excluded.since
        WHERE known.part_seq <> excluded.part_seq OR known.since > excluded.since;
    PERFORM 1 FROM upload_found_stale
     WHERE upload_id = the_id AND since <= clock_timestamp() - certain;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM commit_abort(
        jsonb_build_object('upload_id', it.id, 'bucket_id', it.bucket_id, 'key', it.key),
        clock_timestamp());
    RETURN true;
END
$$;
