-- What the health loop writes down about nodes and drives.

-- node_seen: a node answered; `seen` is its list of drives (node-protocol.md, operation `drives`).
-- A drive that is back is active again, or draining if it was being emptied; a removed one stays so.
CREATE FUNCTION node_seen(the_node uuid, the_host text, seen jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE node SET state = 'up', host = the_host, last_seen = now() WHERE id = the_node;
    UPDATE drive d SET
        node_id = the_node, path = s.path, reason = s.reason, last_seen = now(), gone_since = NULL,
        size_bytes = s.size, free_bytes = s.free, device = s.device,
        state = CASE
            WHEN s.state = 'fenced' THEN 'fenced'
            WHEN d.draining THEN 'draining'
            ELSE 'active'
        END
      FROM jsonb_to_recordset(seen) AS s (
          uuid uuid, path text, state text, reason text, size bigint, free bigint, device bigint)
     WHERE d.uuid = s.uuid AND s.state IN ('serving', 'fenced') AND d.state <> 'removed';
END
$$;

-- drives_gone: these drives are not coming back by themselves; their shards are to be put back
-- elsewhere (owe_repairs). The ids of those that were not known to be gone.
CREATE FUNCTION drives_gone(ids integer[], why text) RETURNS SETOF integer
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    UPDATE drive SET state = 'gone', gone_since = now(), reason = why
     WHERE id = ANY (ids) AND state NOT IN ('gone', 'removed') RETURNING id;
END
$$;

-- owe_repairs: owe a repair for the next `how_many` segments, by id behind `after`, that name a drive
-- which is gone or removed; those that can lose least come first in the queue. The last id seen, NULL
-- at the end. Owing twice joins the job there is, so the caller may start over at any time.
CREATE FUNCTION owe_repairs(after uuid, how_many integer) RETURNS uuid
LANGUAGE plpgsql AS $$
DECLARE
    lost integer[] := ARRAY(SELECT id FROM drive WHERE state IN ('gone', 'removed'));
    it record;
    seen uuid;
BEGIN
    FOR it IN
        SELECT s.id, s.epoch, s.drives,
               CASE WHEN s.layout = 'coded' THEN split_part(s.storage_policy, '-', 2)::integer
                    ELSE 1 END AS needed
          FROM segment s
         WHERE s.drives && lost AND s.state IN ('sealed', 'stored') AND s.id > after
         ORDER BY s.id LIMIT how_many
    LOOP
        PERFORM owe('repair', it.id::text, greatest(0, (
            SELECT count(*)::integer
              FROM unnest(it.drives) WITH ORDINALITY AS shard (drive_id, at)
             WHERE shard.drive_id <> 0 AND shard.drive_id <> ALL (lost)
               AND NOT EXISTS (
                   SELECT FROM segment_shard b
                    WHERE b.segment_id = it.id AND b.epoch = it.epoch AND b.index = shard.at - 1
                      AND b.state IN ('missing', 'corrupt'))
        ) - it.needed));
        seen := it.id;
    END LOOP;
    RETURN seen;
END
$$;
