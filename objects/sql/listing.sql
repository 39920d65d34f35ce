-- Listings with a delimiter: what is rolled up is skipped by one index probe, never scanned.

-- The smallest text greater than every text that begins with `prefix`, in byte order; NULL when there is
-- none. The last code point is raised by one, past the surrogates, which no text holds.
CREATE FUNCTION after_prefix(prefix text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    code integer;
BEGIN
    WHILE prefix <> '' LOOP
        code := ascii(right(prefix, 1));
        prefix := left(prefix, -1);
        IF code < 1114111 THEN
            RETURN prefix || chr(CASE WHEN code = 55295 THEN 57344 ELSE code + 1 END);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

-- The common prefix a key is rolled up into; NULL when it stands for itself.
CREATE FUNCTION rolled_up(key text, prefix text, delimiter text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN delimiter <> '' AND strpos(substr(key, length(prefix) + 1), delimiter) > 0
    THEN left(key, length(prefix) + strpos(substr(key, length(prefix) + 1), delimiter)
                   + length(delimiter) - 1) END
$$;

-- No key is as great: 256 code points of four bytes are all that fit.
CREATE FUNCTION end_of_keys() RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT repeat(chr(1114111), 257)
$$;

-- list_current: current objects from `start` (inclusive or not) to before `upper` (NULL: the end), `most` of
-- them. With a delimiter, a row of only a name is a common prefix; the walk goes on behind all it stands for.
CREATE FUNCTION list_current(
    the_bucket uuid, prefix text, delimiter text, start text, inclusive boolean, upper text, most integer
) RETURNS TABLE (
    name text, modified timestamptz, tag text, bytes bigint, class text, checksum text
) LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
    left_over integer := most;
    common text;
BEGIN
    upper := coalesce(upper, end_of_keys());
    IF delimiter = '' THEN
        RETURN QUERY
        SELECT v.key, v.last_modified, v.etag, v.size, v.storage_class,
               (v.checksums ->> 'algorithm') || '/' || (v.checksums ->> 'type')
        FROM version v
        WHERE v.bucket_id = the_bucket AND v.is_latest AND NOT v.is_marker
              AND v.key >= start AND v.key < upper AND (inclusive OR v.key > start)
        ORDER BY v.key LIMIT most;
        RETURN;
    END IF;
    WHILE left_over > 0 AND start IS NOT NULL LOOP
        common := NULL;
        FOR name, modified, tag, bytes, class, checksum IN
            SELECT v.key, v.last_modified, v.etag, v.size, v.storage_class,
                   (v.checksums ->> 'algorithm') || '/' || (v.checksums ->> 'type')
            FROM version v
            WHERE v.bucket_id = the_bucket AND v.is_latest AND NOT v.is_marker
                  AND v.key >= start AND v.key < upper AND (inclusive OR v.key > start)
            ORDER BY v.key LIMIT left_over
        LOOP
            left_over := left_over - 1;
            common := rolled_up(name, prefix, delimiter);
            IF common IS NOT NULL THEN
                name := common;
                modified := NULL;
                RETURN NEXT;
                EXIT;
            END IF;
            RETURN NEXT;
        END LOOP;
        EXIT WHEN common IS NULL;
        start := after_prefix(common);
        inclusive := true;
    END LOOP;
END
$$;

-- list_versions: the same over all versions, newest first within a key. `within`: go on after this version
-- of the key `start` (the nil uuid: its null version).
CREATE FUNCTION list_versions(
    the_bucket uuid, prefix text, delimiter text, start text, inclusive boolean, within uuid, upper text,
    most integer
) RETURNS TABLE (
    name text, version uuid, latest boolean, marker boolean, nameless boolean, modified timestamptz,
    tag text, bytes bigint, class text, checksum text
) LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
    before_all CONSTANT bigint := -9223372036854775808;
    after_all CONSTANT bigint := 9223372036854775807;
    from_rank bigint := CASE WHEN inclusive THEN before_all ELSE after_all END;
    left_over integer := most;
    common text;
BEGIN
    upper := coalesce(upper, end_of_keys());
    IF within IS NOT NULL THEN
        SELECT v.rank INTO from_rank FROM version v
        WHERE v.bucket_id = the_bucket AND v.key = start
              AND CASE WHEN within = '00000000-0000-0000-0000-000000000000' THEN v.is_null
                  ELSE v.id = within END
        ORDER BY v.rank LIMIT 1;
        from_rank := coalesce(from_rank, before_all);
    END IF;
    WHILE left_over > 0 AND start IS NOT NULL LOOP
        common := NULL;
        FOR name, version, latest, marker, nameless, modified, tag, bytes, class, checksum IN
            SELECT v.key, v.id, v.is_latest, v.is_marker, v.is_null, v.last_modified, v.etag, v.size,
                   v.storage_class, (v.checksums ->> 'algorithm') || '/' || (v.checksums ->> 'type')
            FROM version v
            WHERE v.bucket_id = the_bucket AND (v.key, v.rank) > (start, from_rank) AND v.key < upper
            ORDER BY v.key, v.rank LIMIT left_over
        LOOP
            left_over := left_over - 1;
            common := rolled_up(name, prefix, delimiter);
            IF common IS NOT NULL THEN
                name := common;
                version := NULL;
                RETURN NEXT;
                EXIT;
            END IF;
            RETURN NEXT;
        END LOOP;
        EXIT WHEN common IS NULL;
        start := after_prefix(common);
        from_rank := before_all;
    END LOOP;
END
$$;

-- list_uploads: open uploads by key, then by time. `within`: go on after this upload of the key `start`.
CREATE FUNCTION list_uploads(
    the_bucket uuid, prefix text, delimiter text, start text, inclusive boolean, within uuid, upper text,
    most integer
) RETURNS TABLE (
    name text, upload uuid, begun timestamptz, class text, algorithm text, kind text
) LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
    first_id CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    last_id CONSTANT uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
    from_time timestamptz := CASE WHEN inclusive THEN '-infinity' ELSE 'infinity' END;
    from_id uuid := CASE WHEN inclusive THEN first_id ELSE last_id END;
    left_over integer := most;
    common text;
BEGIN
    upper := coalesce(upper, end_of_keys());
    IF within IS NOT NULL THEN
        SELECT u.initiated, u.id INTO from_time, from_id FROM upload u
        WHERE u.id = within AND u.bucket_id = the_bucket AND u.key = start;
        from_time := coalesce(from_time, '-infinity');
        from_id := coalesce(from_id, first_id);
    END IF;
    WHILE left_over > 0 AND start IS NOT NULL LOOP
        common := NULL;
        FOR name, upload, begun, class, algorithm, kind IN
            SELECT u.key, u.id, u.initiated, u.storage_class, u.checksum_algorithm, u.checksum_type
            FROM upload u
            WHERE u.bucket_id = the_bucket AND u.state = 'open' AND u.key < upper
                  AND (u.key, u.initiated, u.id) > (start, from_time, from_id)
            ORDER BY u.key, u.initiated, u.id LIMIT left_over
        LOOP
            left_over := left_over - 1;
            common := rolled_up(name, prefix, delimiter);
            IF common IS NOT NULL THEN
                name := common;
                upload := NULL;
                RETURN NEXT;
                EXIT;
            END IF;
            RETURN NEXT;
        END LOOP;
        EXIT WHEN common IS NULL;
        start := after_prefix(common);
        from_time := '-infinity';
        from_id := first_id;
    END LOOP;
END
$$;
