-- What is left of versions, uploads, parts and extents after everything that happened. Nothing is in the
-- tables yet: versions that went are removed here, and what outranks them is only decided at the end.

ANALYZE event;

-- Versions ever made, as far back as the snapshot; a marker's row is mostly what a marker is.
CREATE TEMP TABLE made (LIKE version) ON COMMIT DROP;
ALTER TABLE made ADD known boolean NOT NULL DEFAULT false;
INSERT INTO made
SELECT r.*, true FROM snap_version s, jsonb_populate_record(NULL::version, s.payload -> 'body') r;
INSERT INTO made
SELECT r.*, false
FROM event e, jsonb_populate_record(NULL::version, CASE WHEN e.kind = 'marker' THEN
    '{"size": 0, "etag": "", "headers": {}, "metadata": {}, "tags": {}, "storage_class": "STANDARD",
      "storage_policy": "", "lock_hold": false}'::jsonb ELSE '{}' END
    || (e.payload -> 'body') || jsonb_build_object(
    'bucket_id', e.payload -> 'bucket', 'key', e.payload -> 'key', 'rank', -e.seq,
    'is_latest', false, 'is_marker', e.kind = 'marker')) r
WHERE e.kind IN ('put', 'marker', 'complete');
CREATE INDEX ON made (bucket_id, key, rank);
CREATE INDEX ON made (id);
ANALYZE made;

-- Versions that went: by a delete that named them, or because a newer null version took their place.
CREATE TEMP TABLE went ON COMMIT DROP AS
SELECT (payload #>> '{body,id}')::uuid AS id, seq FROM event WHERE kind = 'delete';
INSERT INTO went
SELECT m.id, NULL
FROM made m JOIN (
    SELECT bucket_id, key, min(rank) AS rank FROM made
    WHERE is_null GROUP BY bucket_id, key HAVING count(*) > 1
) newest USING (bucket_id, key)
WHERE m.is_null AND m.rank > newest.rank;
CREATE INDEX ON went (id);

-- Keys whose remaining versions lived through a removal: their whole story is told apart.
CREATE TEMP TABLE storied ON COMMIT DROP AS
SELECT DISTINCT m.bucket_id, m.key FROM made m JOIN went w USING (id)
WHERE EXISTS (
    SELECT FROM made o WHERE o.bucket_id = m.bucket_id AND o.key = m.key
    AND NOT EXISTS (SELECT FROM went g WHERE g.id = o.id) OFFSET 1);
CREATE TEMP TABLE story ON COMMIT DROP AS
SELECT m.bucket_id, m.key, -m.rank AS seq, m.id, m.is_null, m.last_modified, m.superseded_at, m.known,
       false AS went
FROM made m JOIN storied USING (bucket_id, key)
UNION ALL
SELECT m.bucket_id, m.key, w.seq, m.id, NULL, NULL, NULL, NULL, true
FROM made m JOIN storied USING (bucket_id, key) JOIN went w USING (id) WHERE w.seq IS NOT NULL;
CREATE TEMP TABLE superseded (id uuid, at timestamptz) ON COMMIT DROP;

DELETE FROM made USING went WHERE made.id = went.id;

-- What was changed of versions afterwards; the last word on each column counts.
WITH amended AS (
    SELECT (e.payload #>> '{body,id}')::uuid AS id, jsonb_object_agg(s.key, s.value ORDER BY e.seq) AS wanted
    FROM event e, jsonb_each(e.payload #> '{body,set}') s
    WHERE e.kind = 'amend' AND NOT (s.key = 'lock_hold' AND s.value = 'null')
    GROUP BY 1
)
UPDATE made SET
    tags = coalesce(wanted -> 'tags', tags),
    acl = CASE WHEN wanted ? 'acl' THEN wanted ->> 'acl' ELSE acl END,
    lock_mode = CASE WHEN wanted ? 'lock_mode' THEN wanted ->> 'lock_mode' ELSE lock_mode END,
    lock_until = CASE WHEN wanted ? 'lock_until' THEN (wanted ->> 'lock_until')::timestamptz
                 ELSE lock_until END,
    lock_hold = coalesce((wanted ->> 'lock_hold')::boolean, lock_hold),
    replication = CASE WHEN wanted ? 'replication' THEN wanted ->> 'replication' ELSE replication END
FROM amended WHERE made.id = amended.id;

-- Uploads: begun, perhaps completed, not aborted.
CREATE TEMP TABLE begun (LIKE upload) ON COMMIT DROP;
INSERT INTO begun
SELECT r.* FROM snap_upload s, jsonb_populate_record(NULL::upload, s.payload -> 'body') r;
INSERT INTO begun
SELECT r.* FROM event e, jsonb_populate_record(
    NULL::upload, (e.payload -> 'body') || '{"state": "open"}') r
WHERE e.kind = 'upload';
DELETE FROM begun USING event e
WHERE e.kind = 'abort' AND begun.id = (e.payload #>> '{body,upload_id}')::uuid;
UPDATE begun SET
    state = 'completed', completed = e.payload #> '{body,completed}',
    completed_at = coalesce(e.payload #>> '{body,completed_at}', e.payload ->> 'at')::timestamptz,
    version_id = (e.payload #>> '{body,id}')::uuid
FROM event e
WHERE e.kind = 'complete' AND begun.id = (e.payload #>> '{body,upload_id}')::uuid;
DELETE FROM begun USING event e
WHERE e.kind = 'forget' AND e.payload #> '{body,uploads}' ? begun.id::text;

-- Parts of open uploads; the last to finish under its number stays.
CREATE TEMP TABLE sent (LIKE part) ON COMMIT DROP;
INSERT INTO sent
SELECT r.* FROM snap_part s, jsonb_populate_record(NULL::part, s.payload -> 'body') r;
INSERT INTO sent
SELECT r.* FROM event e, jsonb_populate_record(
    NULL::part, (e.payload -> 'body') || jsonb_build_object('seq', e.seq)) r
WHERE e.kind = 'part';
DELETE FROM sent USING sent newer
WHERE sent.upload_id = newer.upload_id AND sent.number = newer.number AND sent.seq < newer.seq;
DELETE FROM sent WHERE NOT EXISTS (
    SELECT FROM begun b WHERE b.id = sent.upload_id AND b.state = 'open');

-- Extents of what is left.
CREATE TEMP TABLE lying (LIKE extent) ON COMMIT DROP;
ALTER TABLE lying ALTER id DROP NOT NULL;
INSERT INTO lying
SELECT r.* FROM snap_extent s, jsonb_populate_record(NULL::extent, s.payload -> 'body') r
WHERE EXISTS (SELECT FROM made m WHERE m.id = r.version_id)
   OR EXISTS (SELECT FROM sent p WHERE p.id = r.part_id);
INSERT INTO lying (version_id, part_id, position, segment_id, "offset", record_size, skip, length)
SELECT m.id, p.id, x.place - 1, (x.one ->> 0)::uuid, (x.one ->> 1)::bigint, (x.one ->> 2)::bigint,
       (x.one ->> 3)::bigint, (x.one ->> 4)::bigint
FROM event e
LEFT JOIN made m ON e.kind <> 'part' AND m.id = (e.payload #>> '{body,id}')::uuid
LEFT JOIN sent p ON e.kind = 'part' AND p.id = (e.payload #>> '{body,id}')::uuid
CROSS JOIN LATERAL jsonb_array_elements(e.payload #> '{body,extents}')
    WITH ORDINALITY AS x (one, place)
WHERE e.kind IN ('put', 'complete', 'part') AND (m.id IS NOT NULL OR p.id IS NOT NULL);

-- Where records were moved to.
CREATE TEMP TABLE moved ON COMMIT DROP AS
SELECT s.segment_id, f.at, (e.payload #>> '{body,target}')::uuid AS target, t.at AS to_offset
FROM event e
CROSS JOIN LATERAL ROWS FROM (
    jsonb_array_elements_text(e.payload #> '{body,segments}')) WITH ORDINALITY AS a (segment, place)
CROSS JOIN LATERAL (SELECT a.segment::uuid AS segment_id) s
CROSS JOIN LATERAL (SELECT (e.payload #>> ARRAY['body', 'from', (a.place - 1)::text])::bigint AS at) f
CROSS JOIN LATERAL (SELECT (e.payload #>> ARRAY['body', 'to', (a.place - 1)::text])::bigint AS at) t
WHERE e.kind = 'rewrite';
CREATE INDEX ON moved (segment_id, at);
