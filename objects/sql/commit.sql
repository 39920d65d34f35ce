-- commit_versions: one batch, one transaction, one outcome per row.
--
-- batch: {"decisions": [{bucket, bucket_revision, owner_revision,
--                        key, key_revision, user_revision, tenant_revision}, ...],
--         "fresh": {"ids", "epochs", "kinds"}      segments that hold newly appended bytes
--         "shared": [segment ids]                  segments whose bytes are referred to once more
--         "rows": [{kind, decision, conditions, stored, body}, ...]}
-- `stored` names the segments a row's own upload wrote: with the row they are complete.
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
CREATE FUNCTION row_locks(item jsonb) RETURNS bigint[] LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE item ->> 'kind'
        WHEN 'part' THEN ARRAY[lock_key((item #>> '{body,upload_id}')::uuid, '')]
        WHEN 'abort' THEN ARRAY[lock_key((item #>> '{body,upload_id}')::uuid, '')]
        WHEN 'upload' THEN '{}'
        WHEN 'complete' THEN ARRAY[
            lock_key((item #>> '{body,bucket_id}')::uuid, item #>> '{body,key}'),
            lock_key((item #>> '{body,upload_id}')::uuid, '')]
        ELSE ARRAY[lock_key((item #>> '{body,bucket_id}')::uuid, item #>> '{body,key}')]
    END
$$;

-- Which of a batch's segments refuse: fresh bytes in one that is closed, a reference to one that is dead.
CREATE FUNCTION refused_segments(batch jsonb) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    ids uuid[];
    answers boolean[];
    refused text[] := '{}';
BEGIN
    IF batch ? 'fresh' THEN
        ids := ARRAY(SELECT jsonb_array_elements_text(batch #> '{fresh,ids}')::uuid);
        answers := segments_admit(
            ids,
            ARRAY(SELECT jsonb_array_elements_text(batch #> '{fresh,epochs}')::integer),
            ARRAY(SELECT jsonb_array_elements_text(batch #> '{fresh,kinds}')));
        FOR i IN 1 .. cardinality(ids) LOOP
            IF answers[i] IS NOT TRUE THEN
                refused := refused || ids[i]::text;
            END IF;
        END LOOP;
    END IF;
    IF batch ? 'shared' THEN
        ids := ARRAY(SELECT jsonb_array_elements_text(batch -> 'shared')::uuid);
        answers := segments_referable(ids);
        FOR i IN 1 .. cardinality(ids) LOOP
            IF answers[i] IS NOT TRUE THEN
                refused := refused || ids[i]::text;
            END IF;
        END LOOP;
    END IF;
    RETURN refused;
END
$$;

CREATE FUNCTION commit_versions(batch jsonb, wait boolean DEFAULT false)
RETURNS SETOF commit_outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    items jsonb := batch -> 'rows';
    n integer := jsonb_array_length(items);
    item jsonb;
    body jsonb;
    free boolean[];
    held boolean;
    lock_id bigint;
    decision jsonb;
    verdict record;
    holds boolean[] := '{}';
    versionings text[] := '{}';
    refused text[];
    d integer;
    moment timestamptz;
    result commit_outcome;
    the_bucket uuid;
    usage_bucket uuid;
    bytes bigint := 0;
    objects bigint := 0;
    versions bigint := 0;
BEGIN
    -- Keys.
    IF NOT wait THEN
        FOR i IN 0 .. n - 1 LOOP
            held := true;
            FOREACH lock_id IN ARRAY row_locks(items -> i) LOOP
                held := held AND pg_try_advisory_xact_lock(lock_id);
            END LOOP;
            free[i] := held;
        END LOOP;
    ELSIF n <= 256 THEN
        FOR lock_id IN
            SELECT DISTINCT unnest(row_locks(e)) AS id FROM jsonb_array_elements(items) e ORDER BY id
        LOOP
            PERFORM pg_advisory_xact_lock(lock_id);
        END LOOP;
    END IF;

    -- Buckets, and the decisions made with them.
    FOR decision IN
        SELECT e FROM jsonb_array_elements(batch -> 'decisions') WITH ORDINALITY AS t (e, place)
        ORDER BY place
    LOOP
        held := true;
        the_bucket := decision ->> 'bucket';
        IF NOT wait THEN
            held := pg_try_advisory_xact_lock_shared(
                (lock_bucket(the_bucket)).high, (lock_bucket(the_bucket)).low);
        END IF;
        holds := holds || held;
        versionings := versionings || NULL::text;
    END LOOP;
    IF wait THEN
        -- More keys than the lock table should hold: the buckets themselves, exclusively.
        FOR verdict IN
            SELECT DISTINCT (lock_bucket((e ->> 'bucket')::uuid)).*
            FROM jsonb_array_elements(batch -> 'decisions') e ORDER BY high, low
        LOOP
            IF n > 256 THEN
                PERFORM pg_advisory_xact_lock(verdict.high, verdict.low);
            ELSE
                PERFORM pg_advisory_xact_lock_shared(verdict.high, verdict.low);
            END IF;
        END LOOP;
    END IF;
    FOR i IN 1 .. cardinality(holds) LOOP
        IF holds[i] THEN
            verdict := decision_holds(batch -> 'decisions' -> i - 1);
            versionings[i] := verdict.versioning;
            IF NOT verdict.holds THEN
                holds[i] := NULL;
            END IF;
        END IF;
    END LOOP;

    -- Segments.
    refused := refused_segments(batch);

    moment := date_trunc('second', clock_timestamp());
    FOR i IN 0 .. n - 1 LOOP
        item := items -> i;
        body := item -> 'body';
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
            CASE item ->> 'kind'
                WHEN 'put' THEN
                    result := commit_put(body, item -> 'conditions', versionings[d], moment);
                WHEN 'delete' THEN
                    result := commit_delete(body, item -> 'conditions', versionings[d], moment);
                WHEN 'delete_version' THEN
                    result := commit_delete_version(body, item -> 'conditions', versionings[d], moment);
                WHEN 'part' THEN
                    result := commit_part(body, NULL, versionings[d], moment);
                WHEN 'upload' THEN
                    result := commit_upload(body, NULL, versionings[d], moment);
                WHEN 'complete' THEN
                    result := commit_complete(body, item -> 'conditions', versionings[d], moment);
                WHEN 'abort' THEN
                    result := commit_abort(body, NULL, versionings[d], moment);
                WHEN 'amend' THEN
                    result := commit_amend(body, NULL, versionings[d], moment);
            END CASE;
            IF item ? 'stored' AND result.outcome = 'done' THEN
                PERFORM segments_stored(
                    ARRAY(SELECT jsonb_array_elements_text(item -> 'stored')::uuid));
            END IF;
            IF result.bytes <> 0 OR result.objects <> 0 OR result.versions <> 0 THEN
                the_bucket := body ->> 'bucket_id';
                IF usage_bucket <> the_bucket THEN
                    INSERT INTO usage_delta VALUES (usage_bucket, bytes, objects, versions);
                    bytes := 0;
                    objects := 0;
                    versions := 0;
                END IF;
                usage_bucket := the_bucket;
                bytes := bytes + result.bytes;
                objects := objects + result.objects;
                versions := versions + result.versions;
            END IF;
        END IF;
        RETURN NEXT result;
    END LOOP;
    IF usage_bucket IS NOT NULL THEN
        INSERT INTO usage_delta VALUES (usage_bucket, bytes, objects, versions);
    END IF;
END
$$;
