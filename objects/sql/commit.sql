-- commit_versions: one batch, one transaction, one outcome per row.
--
-- batch: {"decisions": [{bucket, bucket_revision, owner_revision,
--                        key, key_revision, user_revision, tenant_revision}, ...],
--         "rows": [{kind, decision, conditions, repeated, stored}, ...],
--         "bodies": [{bucket_id, key, ...}, ...]}
-- A row's body stands under its number; what is in it depends on the kind (versions.sql, uploads.sql).
-- `repeated`: an earlier row of the batch has the same key. `stored`: the segments this row's own upload
-- wrote, complete with the row. fresh, epochs, kinds: segments that hold newly appended bytes; shared,
-- shared_epochs: segments whose bytes are referred to once more, and the layout they were found in.
--
-- VOLATILE under READ COMMITTED: every statement inside sees what was committed before it began, so the
-- judging after the locks sees the last holder's work. Lock order: keys, buckets, segments.
-- Without `wait` a lock that is held makes the row `busy`; with it the locks are taken in hash order and
-- lock_timeout bounds the wait. Rows of one batch on one key follow each other in the order given.

-- Whether the configuration a decision was made with is still the current one; NULL versioning: no bucket.
CREATE FUNCTION decision_holds(decision jsonb, OUT holds boolean, OUT versioning text)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF decision ? 'key' THEN
        SELECT b.revision = (decision ->> 'bucket_revision')::bigint
               AND o.revision = (decision ->> 'owner_revision')::bigint
               AND k.revision = (decision ->> 'key_revision')::bigint
               AND u.revision = (decision ->> 'user_revision')::bigint
               AND t.revision = (decision ->> 'tenant_revision')::bigint,
               b.versioning
        INTO holds, versioning
        FROM bucket b
        JOIN tenant o ON o.id = b.tenant_id
        LEFT JOIN access_key k ON k.id = decision ->> 'key'
        LEFT JOIN account_user u ON u.id = k.user_id
        LEFT JOIN tenant t ON t.id = u.tenant_id
        WHERE b.id = (decision ->> 'bucket')::uuid;
    ELSIF decision ? 'bucket_revision' THEN
        SELECT b.revision = (decision ->> 'bucket_revision')::bigint
               AND o.revision = (decision ->> 'owner_revision')::bigint,
               b.versioning
        INTO holds, versioning
        FROM bucket b JOIN tenant o ON o.id = b.tenant_id
        WHERE b.id = (decision ->> 'bucket')::uuid;
    ELSE
        SELECT true, b.versioning INTO holds, versioning
        FROM bucket b WHERE b.id = (decision ->> 'bucket')::uuid;
    END IF;
    holds := coalesce(holds, false);
END
$$;

-- The lock ids a row needs: its key, and its upload when it touches one.
CREATE FUNCTION row_locks(kind text, body jsonb) RETURNS bigint[] LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE kind
        WHEN 'part' THEN ARRAY[lock_key((body ->> 'upload_id')::uuid, '')]
        WHEN 'abort' THEN ARRAY[lock_key((body ->> 'upload_id')::uuid, '')]
        WHEN 'upload' THEN '{}'
        WHEN 'complete' THEN ARRAY[
            lock_key((body ->> 'bucket_id')::uuid, body ->> 'key'),
            lock_key((body ->> 'upload_id')::uuid, '')]
        ELSE ARRAY[lock_key((body ->> 'bucket_id')::uuid, body ->> 'key')]
    END
$$;

-- Which segments refuse: fresh bytes in one that is closed, a reference to one that is dead or has another
-- layout by now.
CREATE FUNCTION refused_segments(
    fresh uuid[], epochs integer[], kinds text[], shared uuid[], shared_epochs integer[]
) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    answers boolean[];
    refused text[] := '{}';
BEGIN
    IF fresh <> '{}' THEN
        answers := segments_admit(fresh, epochs, kinds);
        FOR i IN 1 .. cardinality(fresh) LOOP
            IF answers[i] IS NOT TRUE THEN
                refused := refused || fresh[i]::text;
            END IF;
        END LOOP;
    END IF;
    IF shared <> '{}' THEN
        answers := segments_referable(shared, shared_epochs);
        FOR i IN 1 .. cardinality(shared) LOOP
            IF answers[i] IS NOT TRUE THEN
                refused := refused || shared[i]::text;
            END IF;
        END LOOP;
    END IF;
    RETURN refused;
END
$$;

-- The buckets' shared locks, one answer per decision. More keys than the lock table should hold are
-- covered by the buckets themselves, taken exclusively.
CREATE FUNCTION hold_buckets(decisions jsonb, wait boolean, exclusive boolean) RETURNS boolean[]
LANGUAGE plpgsql AS $$
DECLARE
    held boolean[] := '{}';
    lock record;
BEGIN
    IF NOT wait THEN
        FOR i IN 0 .. jsonb_array_length(decisions) - 1 LOOP
            lock := lock_bucket((decisions -> i ->> 'bucket')::uuid);
            held[i + 1] := pg_try_advisory_xact_lock_shared(lock.high, lock.low);
        END LOOP;
        RETURN held;
    END IF;
    FOR lock IN
        SELECT DISTINCT (lock_bucket((e ->> 'bucket')::uuid)).*
        FROM jsonb_array_elements(decisions) e ORDER BY high, low
    LOOP
        IF exclusive THEN
            PERFORM pg_advisory_xact_lock(lock.high, lock.low);
        ELSE
            PERFORM pg_advisory_xact_lock_shared(lock.high, lock.low);
        END IF;
    END LOOP;
    RETURN array_fill(true, ARRAY[jsonb_array_length(decisions)]);
END
$$;

-- New versions of a batch, with their extents and journal rows: three statements for all of them.
CREATE FUNCTION add_versions(made version[], bodies jsonb[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO version SELECT * FROM unnest(made);
    INSERT INTO extent (version_id, position, segment_id, "offset", record_size, skip, length)
    SELECT v.id, e.place - 1, (e.one ->> 0)::uuid, (e.one ->> 1)::bigint, (e.one ->> 2)::bigint,
           (e.one ->> 3)::bigint, (e.one ->> 4)::bigint
    FROM unnest(made) WITH ORDINALITY AS v,
         jsonb_array_elements(bodies[v.ordinality] -> 'extents') WITH ORDINALITY AS e (one, place);
    INSERT INTO change (kind, bucket_id, key, seq, body)
    SELECT 'put', v.bucket_id, v.key, -v.rank,
           bodies[v.ordinality]
           || jsonb_build_object('is_null', v.is_null, 'last_modified', v.last_modified)
    FROM unnest(made) WITH ORDINALITY AS v;
END
$$;

-- A put of a key that is new, without conditions, is nearly every row of nearly every batch: all of them
-- are one statement, which the rest of the rows follow in a loop. Starting a statement costs as much as two
-- rows, and an aggregate in it as much as a row, so there are few and none.
CREATE FUNCTION commit_versions(
    batch jsonb, fresh uuid[], epochs integer[], kinds text[], shared uuid[], shared_epochs integer[],
    wait boolean
) RETURNS SETOF commit_outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    items jsonb := batch -> 'rows';
    bodies jsonb := batch -> 'bodies';
    decisions jsonb := batch -> 'decisions';
    n integer := jsonb_array_length(items);
    item jsonb;
    body jsonb;
    the_kind text;
    free boolean[];
    held boolean;
    lock_id bigint;
    verdict record;
    holds boolean[];
    versionings text[] := '{}';
    refused text[];
    d integer;
    moment timestamptz;
    it record;
    news commit_outcome[] := '{}';
    answered integer := 0;
    result commit_outcome;
    old version;
    made version;
    puts version[] := '{}';
    put_bodies jsonb[] := '{}';
    bytes bigint[];
    objects bigint[];
    versions bigint[];
BEGIN
    -- Keys.
    IF NOT wait THEN
        FOR i IN 1 .. n LOOP
            body := bodies -> i - 1;
            the_kind := items -> i - 1 ->> 'kind';
            IF the_kind = 'put' THEN
                free[i] := pg_try_advisory_xact_lock(
                    lock_key((body ->> 'bucket_id')::uuid, body ->> 'key'));
                CONTINUE;
            END IF;
            held := true;
            FOREACH lock_id IN ARRAY row_locks(the_kind, body) LOOP
                held := held AND pg_try_advisory_xact_lock(lock_id);
            END LOOP;
            free[i] := held;
        END LOOP;
    ELSIF n <= 256 THEN
        FOR lock_id IN
            SELECT DISTINCT unnest(row_locks(r.kind, r.body)) AS id
            FROM ROWS FROM (jsonb_to_recordset(items) AS (kind text), jsonb_array_elements(bodies))
                AS r (kind, body) ORDER BY id
        LOOP
            PERFORM pg_advisory_xact_lock(lock_id);
        END LOOP;
    END IF;

    -- Buckets, and the decisions made with them: true, false for a lock not had, NULL for one that moved.
    holds := hold_buckets(decisions, wait, n > 256);
    FOR i IN 1 .. cardinality(holds) LOOP
        IF holds[i] THEN
            verdict := decision_holds(decisions -> i - 1);
            versionings[i] := verdict.versioning;
            holds[i] := nullif(verdict.holds, false);
        END IF;
        bytes[i] := 0;
        objects[i] := 0;
        versions[i] := 0;
    END LOOP;

    -- Segments.
    refused := refused_segments(fresh, epochs, kinds, shared, shared_epochs);

    -- New keys.
    moment := date_trunc('second', clock_timestamp());
    IF refused = '{}' AND items @> '[{"kind": "put"}]' THEN
        FOR it IN
            WITH made AS MATERIALIZED (
                SELECT r.*, nextval('version_seq') AS seq,
                       versionings[r.decision + 1] <> 'Enabled' AS of_null,
                       bodies -> r.ordinality::integer - 1 AS body
                FROM ROWS FROM (
                    jsonb_to_recordset(items)
                        AS (kind text, decision integer, conditions jsonb, repeated boolean, stored jsonb),
                    jsonb_populate_recordset(NULL::version, bodies)
                ) WITH ORDINALITY AS r
                WHERE r.kind = 'put' AND r.conditions IS NULL AND r.repeated IS NULL
                  AND free[r.ordinality] IS NOT FALSE AND holds[r.decision + 1]
                  AND (SELECT true FROM version o
                       WHERE o.bucket_id = r.bucket_id AND o.key = r.key LIMIT 1) IS NULL
            ), stored_versions AS (
                INSERT INTO version (
                    id, bucket_id, key, rank, is_latest, is_marker, is_null, size, etag, checksums, headers,
                    metadata, tags, storage_class, storage_policy, acl, owner_id, encryption, lock_mode,
                    lock_until, lock_hold, parts, last_modified, replication)
                SELECT m.id, m.bucket_id, m.key, -m.seq, true, false, m.of_null, m.size, m.etag,
                       m.checksums, m.headers, m.metadata, m.tags, m.storage_class, m.storage_policy, m.acl,
                       m.owner_id, m.encryption, m.lock_mode, m.lock_until, m.lock_hold, m.parts, moment,
                       m.replication
                FROM made m
            ), located AS (
                INSERT INTO extent (version_id, position, segment_id, "offset", record_size, skip, length)
                SELECT m.id, e.place - 1, (e.one ->> 0)::uuid, (e.one ->> 1)::bigint,
                       (e.one ->> 2)::bigint, (e.one ->> 3)::bigint, (e.one ->> 4)::bigint
                FROM made m,
                     jsonb_array_elements(m.body -> 'extents') WITH ORDINALITY AS e (one, place)
            ), journaled AS (
                INSERT INTO change (kind, bucket_id, key, seq, body)
                SELECT 'put', m.bucket_id, m.key, m.seq,
                       m.body || jsonb_build_object('is_null', m.of_null, 'last_modified', moment)
                FROM made m
            )
            SELECT m.ordinality AS place, m.decision + 1 AS d, m.stored, m.id, m.seq, m.of_null, m.size
            FROM made m
        LOOP
            result := ROW('done', it.id, it.seq, moment, it.of_null, false, it.size, 1, 1);
            d := it.d;
            bytes[d] := bytes[d] + it.size;
            objects[d] := objects[d] + 1;
            versions[d] := versions[d] + 1;
            IF it.stored IS NOT NULL THEN
                PERFORM segments_stored(ARRAY(SELECT jsonb_array_elements_text(it.stored)::uuid));
            END IF;
            IF it.place = answered + 1 THEN
                RETURN NEXT result;
                answered := answered + 1;
            ELSE
                news[it.place] := result;
            END IF;
        END LOOP;
    END IF;

    -- The others, each after those before it on its key.
    FOR i IN answered + 1 .. n LOOP
        IF (news[i]).outcome IS NOT NULL THEN
            result := news[i];
            RETURN NEXT result;
            CONTINUE;
        END IF;
        item := items -> i - 1;
        body := bodies -> i - 1;
        d := (item ->> 'decision')::integer + 1;
        result := NULL;
        IF free[i] = false OR holds[d] = false THEN
            result.outcome := 'busy';
        ELSIF holds[d] IS NULL THEN
            result.outcome := 'moved';
        ELSIF refused <> '{}' AND EXISTS (
            SELECT FROM jsonb_array_elements(body -> 'extents') e WHERE e ->> 0 = ANY (refused)
        ) THEN
            result.outcome := 'closed';
        ELSE
            IF item ? 'repeated' AND puts <> '{}' THEN
                PERFORM add_versions(puts, put_bodies);
                puts := '{}';
                put_bodies := '{}';
            END IF;
            CASE item ->> 'kind'
                WHEN 'put' THEN
                    made := jsonb_populate_record(NULL::version, body);
                    -- newest_version, in place: a call of it costs as much as the probe.
                    SELECT * INTO old FROM version v
                    WHERE v.bucket_id = made.bucket_id AND v.key = made.key ORDER BY v.rank LIMIT 1;
                    IF item ? 'conditions' THEN
                        result.outcome := judge_write(item -> 'conditions', old);
                    END IF;
                    IF result.outcome IS NULL THEN
                        result := ROW('done', made.id, nextval('version_seq'),
                                      greatest(moment, old.last_modified),
                                      versionings[d] <> 'Enabled', false, made.size, 1, 1);
                        IF old.id IS NOT NULL THEN
                            result := make_way(old, result.is_null, result.last_modified, result);
                        END IF;
                        made := become_newest(made, result);
                        puts := puts || made;
                        put_bodies := put_bodies || body;
                    END IF;
                WHEN 'delete' THEN
                    result := commit_delete(body, item -> 'conditions', versionings[d], moment);
                WHEN 'delete_version' THEN
                    result := commit_delete_version(body, item -> 'conditions', moment);
                WHEN 'part' THEN
                    result := commit_part(body, moment);
                WHEN 'upload' THEN
                    result := commit_upload(body, moment);
                WHEN 'complete' THEN
                    result := commit_complete(body, item -> 'conditions', versionings[d], moment);
                WHEN 'abort' THEN
                    result := commit_abort(body, moment);
                WHEN 'amend' THEN
                    result := commit_amend(body);
            END CASE;
            IF result.outcome = 'done' THEN
                IF item ? 'stored' THEN
                    PERFORM segments_stored(
                        ARRAY(SELECT jsonb_array_elements_text(item -> 'stored')::uuid));
                END IF;
                bytes[d] := bytes[d] + result.bytes;
                objects[d] := objects[d] + result.objects;
                versions[d] := versions[d] + result.versions;
            END IF;
        END IF;
        RETURN NEXT result;
    END LOOP;
    IF puts <> '{}' THEN
        PERFORM add_versions(puts, put_bodies);
    END IF;
    FOR i IN 1 .. cardinality(holds) LOOP
        IF bytes[i] <> 0 OR objects[i] <> 0 OR versions[i] <> 0 THEN
            INSERT INTO usage_delta
            VALUES ((decisions -> i - 1 ->> 'bucket')::uuid, bytes[i], objects[i], versions[i]);
        END IF;
    END LOOP;
END
$$;

-- settle: what became of a row whose answer was lost. The locks are waited for, so that a transaction still
-- under way is over when the ids are looked up; no row means nobody knows (or it was replaced since).
CREATE FUNCTION settle(the_bucket uuid, the_key text, the_id uuid, the_upload uuid)
RETURNS SETOF commit_outcome LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(lock_key(the_bucket, the_key));
    IF the_upload IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock(lock_key(the_upload, ''));
    END IF;
    RETURN QUERY
    SELECT 'done', v.id, -v.rank, v.last_modified, v.is_null, v.is_marker, 0::bigint, 0::bigint, 0::bigint
    FROM version v WHERE v.id = the_id
    UNION ALL
    SELECT 'done', p.id, p.seq, p.last_modified, false, false, 0, 0, 0 FROM part p WHERE p.id = the_id
    UNION ALL
    SELECT 'done', u.id, 0, u.initiated, false, false, 0, 0, 0 FROM upload u WHERE u.id = the_id;
END
$$;
