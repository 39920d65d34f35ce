-- When extents decide about segments: burying what none names, and moving them to gathered segments.
--
-- Whoever adds extents holds the segment FOR SHARE in a referable state. Here it is held FOR UPDATE
-- first, and the extents are read in a later statement: under READ COMMITTED that one sees every
-- extent committed before the lock was granted, and no further one can come.

-- named_records: what extents name of a segment, each once, in order: positions of records and the length
-- of their payload, NULL for bytes outside of records.
CREATE FUNCTION named_records(the_id uuid) RETURNS TABLE (at bigint, length bigint)
LANGUAGE sql STABLE AS $$
    SELECT DISTINCT "offset", record_size FROM extent WHERE segment_id = the_id ORDER BY 1
$$;

-- bury_unnamed: the segment is dead if no extent names it; true when this call decided so.
CREATE FUNCTION bury_unnamed(the_id uuid, grace interval) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM segment WHERE id = the_id AND state IN ('sealed', 'stored') FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM 1 FROM extent WHERE segment_id = the_id LIMIT 1;
    IF FOUND THEN
        RETURN false;
    END IF;
    PERFORM bury(the_id, grace);
    RETURN true;
END
$$;

-- swap_encoded: the coded layout takes over, unless an extent came to name a record that was not among
-- those `coded` (their positions): nobody verified its bytes. False: nothing was changed.
CREATE FUNCTION swap_encoded(
    the_id uuid, from_epoch integer, to_epoch integer, new_drives integer[],
    the_cell_size integer, the_size bigint, coded bigint[], grace interval
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM segment WHERE id = the_id FOR UPDATE;
    -- A set operation costs the same whatever the planner thinks of their numbers.
    PERFORM 1 FROM (
        SELECT "offset" FROM extent WHERE segment_id = the_id EXCEPT SELECT unnest(coded)
    ) AS missed LIMIT 1;
    IF FOUND THEN
        RETURN false;
    END IF;
    RETURN layout_swap(
        the_id, from_epoch, to_epoch, new_drives, the_cell_size, the_size, grace);
END
$$;

-- move_extents: the records of several sealed segments now lie in `target`, which becomes stored; the
-- sources are buried. All or nothing: false when a source is not what was read, when an extent names a
-- record that was not copied, or when the target was given up meanwhile.
--
-- moved_*: one element per record that was copied.
CREATE FUNCTION move_extents(
    sources uuid[], source_epochs integer[], target uuid,
    moved_segments uuid[], moved_from bigint[], moved_to bigint[], grace interval
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    good integer;
    source uuid;
BEGIN
    PERFORM 1 FROM segment WHERE id = ANY (sources || target) ORDER BY id FOR UPDATE;
    SELECT count(*) INTO good
      FROM unnest(sources, source_epochs) AS asked (id, epoch)
      JOIN segment s ON s.id = asked.id AND s.epoch = asked.epoch
     WHERE s.state = 'sealed' AND s.layout = 'replicated';
    IF good <> cardinality(sources) THEN
        RETURN false;
    END IF;
    PERFORM 1 FROM segment
     WHERE id = target AND state = 'writing' AND lease_until > clock_timestamp();
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM 1
      FROM extent e
      LEFT JOIN unnest(moved_segments, moved_from) AS moved (segment_id, at)
        ON moved.segment_id = e.segment_id AND moved.at = e."offset"
     WHERE e.segment_id = ANY (sources) AND (moved.at IS NULL OR e.record_size IS NULL)
     LIMIT 1;
    IF FOUND THEN
        RETURN false;
    END IF;
    UPDATE extent e SET segment_id = target, "offset" = moved.to_offset
      FROM unnest(moved_segments, moved_from, moved_to) AS moved (segment_id, at, to_offset)
     WHERE e.segment_id = moved.segment_id AND e."offset" = moved.at;
    PERFORM segments_stored(ARRAY[target]);
    INSERT INTO change (kind, body) VALUES ('rewrite', jsonb_build_object(
        'target', target, 'segments', to_jsonb(moved_segments),
        'from', to_jsonb(moved_from), 'to', to_jsonb(moved_to)));
    FOREACH source IN ARRAY ARRAY(SELECT unnest(sources) AS id ORDER BY id) LOOP
        PERFORM bury(source, grace, target);
    END LOOP;
    RETURN true;
END
$$;
