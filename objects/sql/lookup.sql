-- look_up: the questions of many requests, answered in one snapshot, one row each, in order.
--
-- SQL statements that the planner inlines into the caller's: a PL/pgSQL body around one costs as much as
-- eight questions. Connections of the data path switch scans and hash joins off, so that every step is a
-- probe of a unique index, whatever the planner thinks of tables that are small today.
--
-- Starting a statement costs more than answering a question, and each table it might touch has its share
-- in that. So there are three, and the caller takes the least that answers all questions of a batch:
-- look_revisions when none wants a version, look_current when each wants the current one, look_up else.
-- Where a subquery gives an array, ARRAY() gives it: an aggregate costs as much as three probes to start.
--
-- questions: [{a: access key, b: bucket, k: key, v: version id, w: want}, ...]. Without v the current version
-- is meant, with the nil uuid the null one. w: 0 revisions only, else the version and where its bytes are.

-- Who asks and of which bucket, by the revisions there are now.
CREATE FUNCTION look_revisions(questions json) RETURNS TABLE (
    key_revision bigint, user_revision bigint, tenant_revision bigint,
    bucket_id text, bucket_revision bigint, owner_revision bigint
) LANGUAGE sql STABLE AS $$
    SELECT k.revision, u.revision, t.revision, b.id::text, b.revision, o.revision
    FROM ROWS FROM (json_to_recordset(questions) AS (a text, b text))
        WITH ORDINALITY AS q (access_key, bucket, place)
    LEFT JOIN access_key k ON k.id = q.access_key
    LEFT JOIN account_user u ON u.id = k.user_id
    LEFT JOIN tenant t ON t.id = u.tenant_id
    LEFT JOIN bucket b ON b.name = q.bucket
    LEFT JOIN tenant o ON o.id = b.tenant_id
    ORDER BY q.place
$$;

-- The same, and the version; `places` is where its bytes are: [[segment, offset, record_size, skip, length,
-- policy, layout, state, epoch, drives, size, cell_size, confirmed, indexes of shards amiss], ...] in order.
-- The two functions differ in `the_version`, a query of at most one row of `version` for the question q.
CREATE FUNCTION make_look_up(the_name text, the_version text) RETURNS void LANGUAGE plpgsql AS $make$
BEGIN
    EXECUTE format($create$
CREATE FUNCTION %I(questions json) RETURNS TABLE (
    key_revision bigint, user_revision bigint, tenant_revision bigint,
    bucket_id text, bucket_revision bigint, owner_revision bigint,
    id uuid, is_latest boolean, is_marker boolean, is_null boolean, size bigint, etag text,
    last_modified timestamptz, headers text, metadata text, tags text, checksums text, parts text,
    storage_class text, storage_policy text, extra text, places text
) LANGUAGE sql STABLE AS $$
    SELECT k.revision, u.revision, t.revision, b.id::text, b.revision, o.revision,
           v.id, v.is_latest, v.is_marker, v.is_null, v.size, v.etag, v.last_modified,
           v.headers::text, v.metadata::text, v.tags::text, v.checksums::text, v.parts::text,
           v.storage_class, v.storage_policy,
           CASE WHEN v.acl IS NULL AND v.owner_id IS NULL AND v.lock_mode IS NULL
                     AND NOT v.lock_hold AND v.replication IS NULL AND v.encryption IS NULL THEN NULL
           ELSE jsonb_build_object(
               'acl', v.acl, 'owner_id', v.owner_id, 'lock_mode', v.lock_mode,
               'lock_until', v.lock_until, 'lock_hold', v.lock_hold,
               'replication', v.replication, 'encryption', v.encryption)::text END,
           CASE WHEN v.size > 0 THEN nullif(array_to_json(ARRAY(
               SELECT json_build_array(
                   e.segment_id, e."offset", e.record_size, e.skip, e.length, s.storage_policy,
                   s.layout, s.state, s.epoch, s.drives, s.size, s.cell_size, s.confirmed,
                   nullif(ARRAY(SELECT x.index FROM segment_shard x
                                WHERE x.segment_id = s.id AND x.epoch = s.epoch
                                      AND x.state <> 'moving'), '{}'))
               FROM extent e JOIN segment s ON s.id = e.segment_id
               WHERE e.version_id = v.id ORDER BY e.position
           ))::text, '[]') END
    FROM ROWS FROM (json_to_recordset(questions) AS (a text, b text, k text, v uuid, w integer))
        WITH ORDINALITY AS q (access_key, bucket, key, version, want, place)
    LEFT JOIN access_key k ON k.id = q.access_key
    LEFT JOIN account_user u ON u.id = k.user_id
    LEFT JOIN tenant t ON t.id = u.tenant_id
    LEFT JOIN bucket b ON b.name = q.bucket
    LEFT JOIN tenant o ON o.id = b.tenant_id
    LEFT JOIN LATERAL (%s) v ON true
    ORDER BY q.place
$$ $create$, the_name, the_version);
END
$make$;

SELECT make_look_up('look_current', $$
        SELECT * FROM version n
        WHERE q.want > 0 AND n.bucket_id = b.id AND n.key = q.key ORDER BY n.rank LIMIT 1
$$);
SELECT make_look_up('look_up', $$
        (SELECT * FROM version n
         WHERE q.want > 0 AND q.version IS NULL AND n.bucket_id = b.id AND n.key = q.key
         ORDER BY n.rank LIMIT 1)
        UNION ALL
        -- By its id alone, whatever the planner thinks of the key's index: a key may have many versions.
        SELECT * FROM version n
        WHERE q.want > 0 AND n.id = q.version
              AND CASE WHEN n.bucket_id = b.id AND n.key = q.key THEN NOT n.is_null END
        UNION ALL
        SELECT * FROM version n
        WHERE q.want > 0 AND q.version = '00000000-0000-0000-0000-000000000000'
              AND n.bucket_id = b.id AND n.key = q.key AND n.is_null
$$);
DROP FUNCTION make_look_up(text, text);

-- Where the bytes of one version are now; for a reader whose location went stale.
CREATE FUNCTION look_places(the_version uuid) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT json_agg(json_build_array(
        e.segment_id, e."offset", e.record_size, e.skip, e.length, s.storage_policy,
        s.layout, s.state, s.epoch, s.drives, s.size, s.cell_size, s.confirmed,
        (SELECT array_agg(x.index) FROM segment_shard x
         WHERE x.segment_id = s.id AND x.epoch = s.epoch AND x.state <> 'moving')
    ) ORDER BY e.position)::text
    FROM extent e JOIN segment s ON s.id = e.segment_id WHERE e.version_id = the_version
$$;
