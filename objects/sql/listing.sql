-- The walks of listings along the index, from a key on. What a delimiter rolls up is passed by one probe.

-- The three listings are one walk over different rows. Without a delimiter: the rows, up to `most`. With one:
-- a row at first, then ever more of them while they stand for themselves (a probe costs more than a row); at a
-- row that is rolled up, a row of only the common prefix, and one row from behind all it stands for.
-- As no key holds NUL, the first key after k is k || chr(1) or greater: every walk begins at a key, inclusive.

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

-- The common prefix a key of this prefix is rolled up into; NULL when it stands for itself.
CREATE FUNCTION rolled_up(key text, prefix text, delimiter text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN strpos(substr(key, length(prefix) + 1), delimiter) > 0
    THEN prefix || split_part(substr(key, length(prefix) + 1), delimiter, 1) || delimiter END
$$;

-- No key is as great: 256 code points of four bytes are all that fit.
CREATE FUNCTION end_of_keys() RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT repeat(chr(1114111), 257)
$$;

-- Current objects. The planner sees through a function of this kind: a caller's LIMIT and settings hold.
-- `modified` is text, as PostgreSQL sends it anyway: nobody makes a time of it only to print it.
CREATE FUNCTION current_from(the_bucket uuid, start text, upper text) RETURNS TABLE (
    name text, modified text, tag text, bytes bigint, class text, checksum text
) LANGUAGE sql STABLE AS $$
    SELECT v.key, (v.last_modified AT TIME ZONE 'UTC')::text, v.etag, v.size, v.storage_class,
           (v.checksums ->> 'algorithm') || '/' || (v.checksums ->> 'type')
    FROM version v
    WHERE v.bucket_id = the_bucket AND v.is_latest AND NOT v.is_marker AND v.key >= start AND v.key < upper
    ORDER BY v.key
$$;

-- All versions, newest first within a key; those of the key `start` only behind `above`.
CREATE FUNCTION versions_from(the_bucket uuid, start text, above bigint, upper text) RETURNS TABLE (
    name text, place bigint, version uuid, latest boolean, marker boolean, nameless boolean,
    modified text, tag text, bytes bigint, class text, checksum text
) LANGUAGE sql STABLE AS $$
    SELECT v.key, v.rank, v.id, v.is_latest, v.is_marker, v.is_null,
           (v.last_modified AT TIME ZONE 'UTC')::text, v.etag, v.size, v.storage_class,
           (v.checksums ->> 'algorithm') || '/' || (v.checksums ->> 'type')
    FROM version v
    WHERE v.bucket_id = the_bucket AND (v.key, v.rank) > (start, above) AND v.key < upper
    ORDER BY v.key, v.rank
$$;

-- Open uploads, by time within a key; those of the key `start` only behind one of them.
CREATE FUNCTION uploads_from(the_bucket uuid, start text, since timestamptz, above uuid, upper text)
RETURNS TABLE (name text, upload uuid, begun timestamptz, class text, algorithm text, kind text)
LANGUAGE sql STABLE AS $$
    SELECT u.key, u.id, u.initiated, u.storage_class, u.checksum_algorithm, u.checksum_type
    FROM upload u
    WHERE u.bucket_id = the_bucket AND u.state = 'open' AND (u.key, u.initiated, u.id) > (start, since, above)
          AND u.key < upper
    ORDER BY u.key, u.initiated, u.id
$$;

-- Current objects from `start` to before `upper` (NULL: the end). A common prefix has no `modified`.
CREATE FUNCTION list_current(
    the_bucket uuid, prefix text, delimiter text, start text, upper text, most integer
) RETURNS TABLE (
    name text, modified text, tag text, bytes bigint, class text, checksum text
) LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET datestyle = 'ISO' AS $$
DECLARE
    step integer := 1;
    wanted integer;
    common text;
BEGIN
    upper := coalesce(upper, end_of_keys());
    IF delimiter = '' THEN
        RETURN QUERY SELECT * FROM current_from(the_bucket, start, upper) LIMIT most;
        RETURN;
    END IF;
    WHILE most > 0 AND start IS NOT NULL LOOP
        common := NULL;
        wanted := least(step, most);
        FOR name, modified, tag, bytes, class, checksum IN
            SELECT * FROM current_from(the_bucket, start, upper) LIMIT wanted
        LOOP
            wanted := wanted - 1;
            most := most - 1;
            common := rolled_up(name, prefix, delimiter);
            EXIT WHEN common IS NOT NULL;
            RETURN NEXT;
        END LOOP;
        IF common IS NOT NULL THEN
            name := common;
            modified := NULL;
            RETURN NEXT;
            start := after_prefix(common);
            step := 1;
        ELSE
            EXIT WHEN wanted > 0;
            start := name || chr(1);
            step := step * 4;
        END IF;
    END LOOP;
END
$$;

-- All versions. A common prefix has no `version`. `within`: go on after this version of the key `start` (the
-- nil uuid: its null version); when it is gone, from the key's newest.
CREATE FUNCTION list_versions(
    the_bucket uuid, prefix text, delimiter text, start text, within uuid, upper text, most integer
) RETURNS TABLE (
    name text, place bigint, version uuid, latest boolean, marker boolean, nameless boolean,
    modified text, tag text, bytes bigint, class text, checksum text
) LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET datestyle = 'ISO' AS $$
DECLARE
    newest CONSTANT bigint := -9223372036854775808;
    above bigint;
    step integer := 1;
    wanted integer;
    common text;
BEGIN
    upper := coalesce(upper, end_of_keys());
    -- By its id alone: a key may have a million versions.
    IF within = '00000000-0000-0000-0000-000000000000' THEN
        SELECT v.rank INTO above FROM version v
        WHERE v.bucket_id = the_bucket AND v.key = start AND v.is_null;
    ELSE
        SELECT CASE WHEN v.bucket_id = the_bucket AND v.key = start THEN v.rank END INTO above
        FROM version v WHERE v.id = within;
    END IF;
    above := coalesce(above, newest);
    IF delimiter = '' THEN
        RETURN QUERY SELECT * FROM versions_from(the_bucket, start, above, upper) LIMIT most;
        RETURN;
    END IF;
    WHILE most > 0 AND start IS NOT NULL LOOP
        common := NULL;
        wanted := least(step, most);
        FOR name, place, version, latest, marker, nameless, modified, tag, bytes, class, checksum IN
            SELECT * FROM versions_from(the_bucket, start, above, upper) LIMIT wanted
        LOOP
            wanted := wanted - 1;
            most := most - 1;
            common := rolled_up(name, prefix, delimiter);
            EXIT WHEN common IS NOT NULL;
            RETURN NEXT;
        END LOOP;
        IF common IS NOT NULL THEN
            name := common;
            version := NULL;
            RETURN NEXT;
            start := after_prefix(common);
            above := newest;
            step := 1;
        ELSE
            EXIT WHEN wanted > 0;
            start := name;
            above := place;
            step := step * 4;
        END IF;
    END LOOP;
END
$$;

-- Open uploads. A common prefix has no `upload`. `within`: go on after this upload of the key `start`; when it
-- is gone, from the key's first.
CREATE FUNCTION list_uploads(
    the_bucket uuid, prefix text, delimiter text, start text, within uuid, upper text, most integer
) RETURNS TABLE (
    name text, upload uuid, begun timestamptz, class text, algorithm text, kind text
) LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
    first CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    since timestamptz;
    above uuid;
    step integer := 1;
    wanted integer;
    common text;
BEGIN
    upper := coalesce(upper, end_of_keys());
    SELECT u.initiated, u.id INTO since, above FROM upload u
    WHERE u.id = within AND u.bucket_id = the_bucket AND u.key = start;
    since := coalesce(since, '-infinity');
    above := coalesce(above, first);
    IF delimiter = '' THEN
        RETURN QUERY SELECT * FROM uploads_from(the_bucket, start, since, above, upper) LIMIT most;
        RETURN;
    END IF;
    WHILE most > 0 AND start IS NOT NULL LOOP
        common := NULL;
        wanted := least(step, most);
        FOR name, upload, begun, class, algorithm, kind IN
            SELECT * FROM uploads_from(the_bucket, start, since, above, upper) LIMIT wanted
        LOOP
            wanted := wanted - 1;
            most := most - 1;
            common := rolled_up(name, prefix, delimiter);
            EXIT WHEN common IS NOT NULL;
            RETURN NEXT;
        END LOOP;
        IF common IS NOT NULL THEN
            name := common;
            upload := NULL;
            RETURN NEXT;
            start := after_prefix(common);
            since := '-infinity';
            above := first;
            step := 1;
        ELSE
            EXIT WHEN wanted > 0;
            start := name;
            since := begun;
            above := upload;
            step := step * 4;
        END IF;
    END LOOP;
END
$$;
