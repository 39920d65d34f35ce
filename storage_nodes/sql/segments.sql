-- Who may put bytes into which segment, and what follows when that ends.
--
-- Locks: every function here takes its segments in the order of their ids, after keys and buckets.
-- Whoever adds extents holds the segment FOR SHARE; whoever changes its state holds it FOR UPDATE
-- or updates the row. All are VOLATILE under READ COMMITTED: a statement after the lock sees what
-- was committed before the lock was granted.

-- segments_admit: may newly appended bytes be committed? One answer per given id, in its order.
-- 'open'    bytes appended to a pack segment: it must still be open in the epoch they were written in
-- 'writing' an upload's own segment: it must still be the writer's, in its epoch
CREATE FUNCTION segments_admit(ids uuid[], epochs integer[], kinds text[])
RETURNS boolean[] LANGUAGE plpgsql AS $$
DECLARE
    answer boolean[] := array_fill(false, ARRAY[cardinality(ids)]);
    it record;
BEGIN
    -- What a row that was waited for has become is what FOR SHARE returns.
    FOR it IN
        SELECT s.id, s.state, s.epoch FROM segment s WHERE s.id = ANY (ids) ORDER BY s.id FOR SHARE
    LOOP
        FOR at IN 1 .. cardinality(ids) LOOP
            IF ids[at] = it.id THEN
                answer[at] := it.state = kinds[at] AND it.epoch = epochs[at];
            END IF;
        END LOOP;
    END LOOP;
    RETURN answer;
END
$$;

-- segments_referable: may extents that name these segments be added (Complete, copy)? Given epochs, only
-- while each has the layout of that epoch: a later one holds what extents named when it was written, and a
-- caller that does not hold an extent of the segment (copy) cannot know whether its bytes were among that.
CREATE FUNCTION segments_referable(ids uuid[], epochs integer[] DEFAULT NULL)
RETURNS boolean[] LANGUAGE plpgsql AS $$
DECLARE
    answer boolean[];
BEGIN
    PERFORM 1 FROM segment s WHERE s.id = ANY (ids) ORDER BY s.id FOR SHARE;
    SELECT array_agg(
               coalesce(s.state IN ('open', 'sealed', 'stored'), false)
               AND s.epoch = coalesce(asked.epoch, s.epoch)
               ORDER BY asked.at)
      INTO answer
      FROM unnest(ids, epochs) WITH ORDINALITY AS asked (id, epoch, at)
      LEFT JOIN segment s ON s.id = asked.id;
    RETURN coalesce(answer, '{}');
END
$$;

-- segments_stored: the upload that wrote these segments commits; called after segments_admit said
-- yes, in the same transaction. Coded ones are then stored, staged ones sealed and owed to encode.
-- Shards that were not durable in time are owed to repair, before everything else.
CREATE FUNCTION segments_stored(ids uuid[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    it record;
BEGIN
    FOR it IN
        SELECT s.id, s.layout, s.epoch, s.drives, s.storage_policy
          FROM segment s WHERE s.id = ANY (ids) AND s.state = 'writing' ORDER BY s.id FOR NO KEY UPDATE
    LOOP
        UPDATE segment SET
            state = CASE WHEN it.layout = 'coded' THEN 'stored' ELSE 'sealed' END,
            owner = NULL, lease_until = NULL, sealed_at = now(), changed = now()
        WHERE id = it.id;
        PERFORM segment_owe_missing(it.id, it.epoch, it.drives, 0);
        IF it.layout = 'replicated' AND it.storage_policy LIKE 'ec-%' THEN
            PERFORM owe('encode', it.id::text);
        END IF;
    END LOOP;
END
$$;

-- segment_owe_missing: a row for every shard without a drive, and one repair for all of them.
CREATE FUNCTION segment_owe_missing(
    the_id uuid, the_epoch integer, the_drives integer[], the_priority integer
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT 0 = ANY (the_drives) THEN
        RETURN;
    END IF;
    INSERT INTO segment_shard (segment_id, epoch, index, drive_id, state, noticed)
    SELECT the_id, the_epoch, drive.at - 1, NULL, 'missing', now()
      FROM unnest(the_drives) WITH ORDINALITY AS drive (id, at)
     WHERE drive.id = 0
        ON CONFLICT DO NOTHING;
    PERFORM owe('repair', the_id::text, the_priority);
END
$$;

-- segment_seal: no commit of new bytes can follow. The owner says what it appended and how much of it
-- each copy holds; for an expired lease the seal job gives NULL for both, and the owner it read (or
-- NULL), and the segment then reaches to its last committed extent: after the flip none can come.
-- A segment nobody put anything into is dead at once. A copy that was closed early stays readable as
-- the prefix it is, and a repair is owed for it. True when this call sealed it.
CREATE FUNCTION segment_seal(
    the_id uuid, the_epoch integer, the_owner text, the_size bigint, the_confirmed bigint[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    it segment%ROWTYPE;
    reached bigint := the_size;
    missing integer;
BEGIN
    UPDATE segment SET
        state = 'sealed', confirmed = coalesce(the_confirmed, confirmed),
        owner = NULL, lease_until = NULL, sealed_at = now(), changed = now()
    WHERE id = the_id AND epoch = the_epoch AND state = 'open'
      AND (the_owner IS NULL OR owner = the_owner);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF reached IS NULL THEN
        SELECT max(e."offset" + segment_record_length(e.record_size)) INTO reached
          FROM extent e WHERE e.segment_id = the_id;
    END IF;
    UPDATE segment SET
        size = coalesce(reached, 0),
        state = CASE WHEN coalesce(reached, 0) = 0 THEN 'dead' ELSE state END
    WHERE id = the_id RETURNING * INTO it;
    IF it.state = 'dead' THEN
        RETURN true;
    END IF;
    IF it.storage_policy LIKE 'ec-%' THEN
        PERFORM owe('encode', it.id::text);
    END IF;
    INSERT INTO segment_shard (segment_id, epoch, index, drive_id, state, noticed)
    SELECT it.id, it.epoch, copy.at - 1, nullif(it.drives[copy.at], 0), 'missing', now()
      FROM unnest(it.confirmed) WITH ORDINALITY AS copy (length, at)
     WHERE the_confirmed IS NOT NULL AND copy.length < it.size
        ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS missing = ROW_COUNT;
    IF missing > 0 THEN
        PERFORM owe('repair', it.id::text);
    END IF;
    RETURN true;
END
$$;

-- segment_record_length: bytes of a whole record (docs/formats/pack-segment.md) in the address space.
CREATE FUNCTION segment_record_length(payload bigint)
RETURNS bigint LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT 64 + payload + 4 * ((payload + 65535) / 65536)
$$;

-- segment_noticed: a read met a shard that is gone or does not verify. Nothing is owed for a layout
-- that has moved on meanwhile, nor for an open segment, whose owner closes its own copies.
CREATE FUNCTION segment_noticed(the_id uuid, the_epoch integer, the_index integer, the_state text)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    on_drive integer;
BEGIN
    SELECT s.drives[the_index + 1] INTO on_drive
      FROM segment s
     WHERE s.id = the_id AND s.epoch = the_epoch AND s.state IN ('sealed', 'stored') FOR SHARE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO segment_shard AS known (segment_id, epoch, index, drive_id, state, noticed)
    VALUES (the_id, the_epoch, the_index, nullif(on_drive, 0), the_state, now())
        ON CONFLICT (segment_id, epoch, index) DO UPDATE SET state = excluded.state
        WHERE known.state <> 'moving';
    PERFORM owe('repair', the_id::text);
    RETURN true;
END
$$;
