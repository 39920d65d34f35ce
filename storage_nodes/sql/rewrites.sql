-- How the layout of a segment is replaced, and how single shards move.
--
-- Intent before bytes: whoever is about to write shard files that no segment row names first leaves a
-- row in retired_layout that names them, due later than the work can take. Success takes the row away
-- in the transaction that makes the files count; a crash leaves it, and `collect` removes the files.
--
-- not_before is judged by clock_timestamp() under the row's lock on both sides, so either the work
-- claims its intent back, or collect has it, never both.

-- Layout epochs are never used twice, so rival and lost attempts cannot meet in one file name.
-- Epoch 1 is what a segment is born with.
CREATE SEQUENCE layout_epoch_seq AS integer START 2 MINVALUE 2;

-- layout_begin: an epoch for a new layout of a segment, or NULL when it is not what the caller read.
CREATE FUNCTION layout_begin(
    the_id uuid, from_epoch integer, new_drives integer[], keep interval
) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    new_epoch integer;
BEGIN
    PERFORM 1 FROM segment
     WHERE id = the_id AND epoch = from_epoch AND state IN ('sealed', 'stored') FOR SHARE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    new_epoch := nextval('layout_epoch_seq');
    INSERT INTO retired_layout (segment_id, epoch, drives, layout, not_before)
    VALUES (the_id, new_epoch, new_drives, 'coded', clock_timestamp() + keep);
    RETURN new_epoch;
END
$$;

-- intent_back: take an intent away that is not due yet; false when collect may have begun on it.
CREATE FUNCTION intent_back(the_id uuid, the_epoch integer, the_drives integer[])
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM retired_layout
     WHERE segment_id = the_id AND epoch = the_epoch AND drives = the_drives FOR UPDATE;
    DELETE FROM retired_layout
     WHERE segment_id = the_id AND epoch = the_epoch AND drives = the_drives
       AND trashed_at IS NULL AND not_before > clock_timestamp();
    RETURN FOUND;
END
$$;

-- layout_swap: the coded layout takes the place of the one the caller read, by compare-and-set. The
-- replaced files stay readable for `grace`. False: nothing was changed, the work was in vain.
CREATE FUNCTION layout_swap(
    the_id uuid, from_epoch integer, to_epoch integer, new_drives integer[],
    the_cell_size integer, the_size bigint, grace interval
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    old segment%ROWTYPE;
BEGIN
    SELECT * INTO old FROM segment WHERE id = the_id FOR UPDATE;
    IF old.epoch IS DISTINCT FROM from_epoch OR old.state NOT IN ('sealed', 'stored') THEN
        RETURN false;
    END IF;
    IF NOT intent_back(the_id, to_epoch, new_drives) THEN
        RETURN false;
    END IF;
    PERFORM retire(the_id, old.epoch, old.drives, old.layout, grace);
    UPDATE segment SET
        layout = 'coded', state = 'stored', epoch = to_epoch, drives = new_drives,
        cell_size = the_cell_size, size = the_size, confirmed = NULL, changed = now()
    WHERE id = the_id;
    DELETE FROM segment_shard WHERE segment_id = the_id;
    RETURN true;
END
$$;

-- retire: these files are readable for `grace`, then collected.
CREATE FUNCTION retire(
    the_id uuid, the_epoch integer, the_drives integer[], the_layout text, grace interval
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO retired_layout AS known (segment_id, epoch, drives, layout, not_before)
    VALUES (the_id, the_epoch, the_drives, the_layout, clock_timestamp() + grace)
        ON CONFLICT (segment_id, epoch, drives) DO UPDATE
        SET trashed_at = NULL, not_before = greatest(known.not_before, excluded.not_before)
$$;

-- only_drive: an array of `width` with one drive in its place.
CREATE FUNCTION only_drive(width integer, the_index integer, the_drive integer) RETURNS integer[]
LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(CASE WHEN n = the_index THEN the_drive ELSE 0 END ORDER BY n)
      FROM generate_series(0, width - 1) AS n
$$;

-- shard_begin: the intent to write one shard of the present layout onto a drive that does not hold it.
-- False when the segment is not what the caller read, or the drive is to be cleared of that very file.
CREATE FUNCTION shard_begin(
    the_id uuid, the_epoch integer, the_index integer, new_drive integer, keep interval
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    held integer[];
    until timestamptz;
BEGIN
    SELECT drives INTO held FROM segment
     WHERE id = the_id AND epoch = the_epoch AND state IN ('sealed', 'stored') FOR SHARE;
    IF held IS NULL OR new_drive = ANY (held) THEN
        RETURN false;
    END IF;
    INSERT INTO retired_layout AS known (segment_id, epoch, drives, layout, not_before)
    SELECT the_id, the_epoch, only_drive(cardinality(held), the_index, new_drive), s.layout,
           clock_timestamp() + keep
      FROM segment s WHERE s.id = the_id
        -- What lies in trash already is no longer in the way; what is due and does not, is.
        ON CONFLICT (segment_id, epoch, drives) DO UPDATE
        SET not_before = excluded.not_before, trashed_at = NULL
        WHERE known.trashed_at IS NOT NULL OR known.not_before > clock_timestamp()
    RETURNING not_before INTO until;
    RETURN until IS NOT NULL;
END
$$;

-- shard_swap: shard `the_index` is now on `new_drive`; compare-and-set on the drive the caller read.
CREATE FUNCTION shard_swap(
    the_id uuid, the_epoch integer, the_index integer, old_drive integer, new_drive integer,
    grace interval
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    held segment%ROWTYPE;
    width integer;
BEGIN
    SELECT * INTO held FROM segment WHERE id = the_id FOR UPDATE;
    IF held.epoch IS DISTINCT FROM the_epoch OR held.state NOT IN ('sealed', 'stored')
       OR held.drives[the_index + 1] <> old_drive OR new_drive = ANY (held.drives) THEN
        RETURN false;
    END IF;
    width := cardinality(held.drives);
    IF NOT intent_back(the_id, the_epoch, only_drive(width, the_index, new_drive)) THEN
        RETURN false;
    END IF;
    IF old_drive <> 0 THEN
        PERFORM retire(
            the_id, the_epoch, only_drive(width, the_index, old_drive), held.layout, grace);
    END IF;
    UPDATE segment SET
        drives[the_index + 1] = new_drive, changed = now(),
        confirmed = CASE WHEN confirmed IS NOT NULL THEN
            confirmed[:the_index] || held.size || confirmed[the_index + 2:] END
    WHERE id = the_id;
    DELETE FROM segment_shard
     WHERE segment_id = the_id AND epoch = the_epoch AND index = the_index;
    RETURN true;
END
$$;

-- shard_mended: shard `the_index` was put back where the row says it is, or found to be in order.
CREATE FUNCTION shard_mended(the_id uuid, the_epoch integer, the_index integer, the_drive integer)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM segment
     WHERE id = the_id AND epoch = the_epoch AND drives[the_index + 1] = the_drive FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM segment_shard
     WHERE segment_id = the_id AND epoch = the_epoch AND index = the_index;
    RETURN true;
END
$$;

-- shard_returns: may a shard be taken out of its drive's trash? Only while the segment names it there:
-- whoever retires it from now on does so with a grace, and trashes it again. It is on record as missing
-- until it has been read through.
CREATE FUNCTION shard_returns(the_id uuid, the_epoch integer, the_index integer, the_drive integer)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM segment
     WHERE id = the_id AND epoch = the_epoch AND drives[the_index + 1] = the_drive
       AND state IN ('sealed', 'stored') FOR SHARE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO segment_shard (segment_id, epoch, index, drive_id, state, noticed)
    VALUES (the_id, the_epoch, the_index, the_drive, 'missing', now())
        ON CONFLICT DO NOTHING;
    RETURN true;
END
$$;

-- shard_returned: it may be out of the trash by now. False: the segment has ceased to name it there
-- meanwhile, and collect may have been before it was out; it is retired anew.
CREATE FUNCTION shard_returned(
    the_id uuid, the_epoch integer, the_drives integer[], the_layout text, the_index integer
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    the_drive integer := the_drives[the_index + 1];
BEGIN
    IF shard_returns(the_id, the_epoch, the_index, the_drive) THEN
        RETURN true;
    END IF;
    PERFORM retire(
        the_id, the_epoch, only_drive(cardinality(the_drives), the_index, the_drive), the_layout,
        interval '0');
    RETURN false;
END
$$;

-- retired_claim: which drives of a due row may be cleared now. An empty answer: none, or not due. What
-- a segment names at this moment is never in it, whatever the row says.
CREATE FUNCTION retired_claim(the_row bigint) RETURNS integer[] LANGUAGE plpgsql AS $$
DECLARE
    it retired_layout%ROWTYPE;
    live integer[];
BEGIN
    SELECT * INTO it FROM retired_layout WHERE id = the_row FOR UPDATE;
    IF it.id IS NULL OR it.trashed_at IS NOT NULL OR it.not_before > clock_timestamp() THEN
        RETURN '{}';
    END IF;
    SELECT drives INTO live FROM segment
     WHERE id = it.segment_id AND epoch = it.epoch AND state <> 'dead' FOR SHARE;
    RETURN ARRAY(
        SELECT CASE WHEN held.drive = live[held.at] THEN 0 ELSE held.drive END
          FROM unnest(it.drives) WITH ORDINALITY AS held (drive, at) ORDER BY held.at);
END
$$;

-- bury_abandoned: segments whose writer never came back are dead: no commit can admit them any more.
CREATE FUNCTION bury_abandoned(most integer, grace interval) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    it segment%ROWTYPE;
    buried integer := 0;
BEGIN
    FOR it IN
        SELECT * FROM segment WHERE state = 'writing' AND lease_until < clock_timestamp()
         ORDER BY id LIMIT most FOR UPDATE SKIP LOCKED
    LOOP
        PERFORM bury(it.id, grace);
        buried := buried + 1;
    END LOOP;
    RETURN buried;
END
$$;

-- bury: no extent will ever name it again. The caller has decided so under the row's lock. `heir`: the
-- segment its records were gathered into, without which its files may not go.
CREATE FUNCTION bury(the_id uuid, grace interval, heir uuid DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    it segment%ROWTYPE;
BEGIN
    UPDATE segment SET
        state = 'dead', owner = NULL, lease_until = NULL, successor = coalesce(heir, successor),
        changed = now()
    WHERE id = the_id RETURNING * INTO it;
    PERFORM retire(it.id, it.epoch, it.drives, it.layout, grace);
    DELETE FROM segment_shard WHERE segment_id = the_id;
END
$$;
