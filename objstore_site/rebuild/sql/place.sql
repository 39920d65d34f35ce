-- Into the tables. Buckets are there already: what belongs to none of them is not placed.

INSERT INTO version (
    id, bucket_id, key, rank, is_latest, is_marker, is_null, size, etag, checksums, headers, metadata,
    tags, storage_class, storage_policy, acl, owner_id, encryption, lock_mode, lock_until, lock_hold,
    parts, last_modified, superseded_at, replication)
SELECT m.id, m.bucket_id, m.key, m.rank, m.newer IS NULL, m.is_marker, m.is_null, m.size, m.etag,
       m.checksums, m.headers, m.metadata, m.tags, m.storage_class, m.storage_policy, m.acl, m.owner_id,
       m.encryption, m.lock_mode, m.lock_until, m.lock_hold, m.parts, m.last_modified,
       CASE WHEN m.newer IS NULL THEN NULL WHEN s.id IS NOT NULL THEN s.at
            ELSE coalesce(m.superseded_at, m.newer) END,
       m.replication
FROM (SELECT *, lag(last_modified) OVER (PARTITION BY bucket_id, key ORDER BY rank) AS newer
      FROM made) m
LEFT JOIN superseded s ON s.id = m.id
WHERE EXISTS (SELECT FROM bucket b WHERE b.id = m.bucket_id);

INSERT INTO upload SELECT u.* FROM begun u WHERE EXISTS (SELECT FROM bucket b WHERE b.id = u.bucket_id);
INSERT INTO part SELECT p.* FROM sent p WHERE EXISTS (SELECT FROM upload u WHERE u.id = p.upload_id);

INSERT INTO extent (version_id, part_id, position, segment_id, "offset", record_size, skip, length)
SELECT x.version_id, x.part_id, x.position, x.segment_id, x."offset", x.record_size, x.skip, x.length
FROM lying x
WHERE EXISTS (SELECT FROM version v WHERE v.id = x.version_id)
   OR EXISTS (SELECT FROM part p WHERE p.id = x.part_id);

INSERT INTO usage (bucket_id, bytes, objects, versions)
SELECT bucket_id, sum(size), count(*) FILTER (WHERE is_latest AND NOT is_marker), count(*)
FROM version GROUP BY bucket_id;

-- Their writers are gone: whoever finds an expired lease closes them.
UPDATE segment SET lease_until = now() WHERE state IN ('open', 'writing');
SELECT owe('encode', id::text) FROM segment
WHERE state = 'sealed' AND layout = 'replicated' AND storage_policy LIKE 'ec-%' ORDER BY id;
