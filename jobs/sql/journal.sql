-- The journal's rows, and what every configuration table shares: revisions and their `change` rows.

CREATE SEQUENCE change_id_seq;

CREATE TABLE change (
    id bigint NOT NULL DEFAULT nextval('change_id_seq'),
    -- Ids commit out of order: readers take rows below pg_snapshot_xmin, ordered by (xid, id).
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at timestamptz NOT NULL DEFAULT now(),
    kind text NOT NULL,
    bucket_id uuid,
    key text COLLATE "C",
    seq bigint,
    body jsonb NOT NULL DEFAULT '{}'
) PARTITION BY RANGE (at);
-- The order readers go by, and the one index writers pay for.
CREATE INDEX change_order ON change (xid, id);
CREATE TABLE change_default PARTITION OF change DEFAULT;

-- One counter for every configuration row: a row that was deleted and made anew never repeats a
-- revision, so "the same revision" always means "the same row".
CREATE SEQUENCE revision_seq;

CREATE FUNCTION raise_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.revision := nextval('revision_seq');
    RETURN NEW;
END
$$;

CREATE FUNCTION journal_configuration() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO change (kind, body) VALUES (
        'configuration',
        jsonb_build_object(
            'table', TG_TABLE_NAME,
            'operation', lower(TG_OP),
            'row', CASE WHEN TG_OP = 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END
        )
    );
    RETURN NULL;
END
$$;

-- configuration_table: give a table its triggers. `watched` names the columns whose change counts;
-- others (a last-used time) neither raise the revision nor enter the journal.
CREATE FUNCTION configuration_table(the_table text, VARIADIC watched text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    columns text := (SELECT string_agg(quote_ident(name), ', ') FROM unnest(watched) name);
BEGIN
    EXECUTE format(
        'CREATE TRIGGER revision BEFORE INSERT OR UPDATE OF %s ON %I
         FOR EACH ROW EXECUTE FUNCTION raise_revision()', columns, the_table);
    EXECUTE format(
        'CREATE TRIGGER journal AFTER INSERT OR DELETE OR UPDATE OF %s ON %I
         FOR EACH ROW EXECUTE FUNCTION journal_configuration()', columns, the_table);
END
$$;

-- journaled_table: rows of this table enter the journal when they come, go, or one of the `watched`
-- columns changes; what is observed each second (space, leases) is left out. `seq` tells the order of
-- what happened to one row: it is drawn under the row's lock.
CREATE FUNCTION journal_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO change (kind, seq, body) VALUES (
        TG_ARGV[0],
        nextval('revision_seq'),
        jsonb_build_object(
            'table', TG_TABLE_NAME,
            'operation', lower(TG_OP),
            'row', CASE WHEN TG_OP = 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END
        )
    );
    RETURN NULL;
END
$$;

CREATE FUNCTION journaled_table(the_table text, the_kind text, VARIADIC watched text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    moved text := (
        SELECT string_agg(format('OLD.%1$I IS DISTINCT FROM NEW.%1$I', name), ' OR ')
        FROM unnest(watched) name);
BEGIN
    EXECUTE format(
        'CREATE TRIGGER journal AFTER INSERT OR DELETE ON %I
         FOR EACH ROW EXECUTE FUNCTION journal_row(%L)', the_table, the_kind);
    EXECUTE format(
        'CREATE TRIGGER journal_update AFTER UPDATE ON %I
         FOR EACH ROW WHEN (%s) EXECUTE FUNCTION journal_row(%L)', the_table, moved, the_kind);
END
$$;

-- How far the journal on the drives is. One row, made by the first round of the `journal` job.
--
-- lineage: one history of changes; a new one begins with a snapshot. A database that was restored to an
-- earlier state writes other changes under the same transaction ids: it must not go on in the old one.
CREATE TABLE journal_state (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    lineage uuid NOT NULL,
    origin text NOT NULL,
    number bigint NOT NULL CHECK (number >= 0),
    -- Every change up to here is on drives.
    xid xid8 NOT NULL DEFAULT '0',
    id bigint NOT NULL DEFAULT 0,
    copied timestamptz,
    -- The two newest complete snapshots; what is older than the second is collected.
    snapshot bigint,
    snapshot_bytes bigint NOT NULL DEFAULT 0,
    snapshot_at timestamptz,
    previous_snapshot bigint,
    -- Written since the newest snapshot began.
    segments integer NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0,
    tended timestamptz
);

-- journal_origin: tells this history of the database from that of a backup restored elsewhere or earlier.
CREATE FUNCTION journal_origin() RETURNS text LANGUAGE sql AS $$
    SELECT s.system_identifier || '/' || c.timeline_id
    FROM pg_control_system() s, pg_control_checkpoint() c
$$;

-- journal_drop_covered: drop whole days older than `keep_days` whose changes are all on drives, and such
-- rows of the DEFAULT partition. How many days. The lock comes first: nothing can be added meanwhile.
CREATE FUNCTION journal_drop_covered(keep_days integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    oldest date := (now() AT TIME ZONE 'UTC')::date - keep_days;
    child text;
    open_rows boolean;
    reached journal_state%ROWTYPE;
    dropped integer := 0;
BEGIN
    SELECT * INTO reached FROM journal_state;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    FOR child IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'change'::regclass AND c.relname ~ '_[0-9]{8}$'
          AND to_date(right(c.relname, 8), 'YYYYMMDD') < oldest
        ORDER BY c.relname
    LOOP
        EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', child);
        EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE (xid, id) > ($1, $2))', child)
            INTO open_rows USING reached.xid, reached.id;
        CONTINUE WHEN open_rows;
        EXECUTE format('DROP TABLE %I', child);
        dropped := dropped + 1;
    END LOOP;
    DELETE FROM change_default
     WHERE at < oldest::timestamp AT TIME ZONE 'UTC' AND (xid, id) <= (reached.xid, reached.id);
    RETURN dropped;
END
$$;
