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
    body jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (at, id)
) PARTITION BY RANGE (at);
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
