-- Tables partitioned by day. Each has a DEFAULT partition: a day nobody prepared refuses nothing.

-- partition_ahead: make the partitions of today and the next `days` days. A day whose rows already
-- lie in the DEFAULT partition stays there. Returns how many were made.
CREATE FUNCTION partition_ahead(parent text, days integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    key_column text;
    start date;
    stop date;
    name text;
    taken boolean;
    made integer := 0;
BEGIN
    SELECT a.attname INTO STRICT key_column
    FROM pg_partitioned_table p JOIN pg_attribute a
      ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
    WHERE p.partrelid = parent::regclass;
    FOR ahead IN 0 .. days LOOP
        start := (now() AT TIME ZONE 'UTC')::date + ahead;
        stop := start + 1;
        name := parent || '_' || to_char(start, 'YYYYMMDD');
        CONTINUE WHEN to_regclass(name) IS NOT NULL;
        EXECUTE format(
            'SELECT EXISTS (SELECT FROM %I WHERE %I >= $1 AND %I < $2)',
            parent || '_default', key_column, key_column
        ) INTO taken USING start::timestamp AT TIME ZONE 'UTC', stop::timestamp AT TIME ZONE 'UTC';
        CONTINUE WHEN taken;
        BEGIN
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                           name, parent);
            -- ATTACH leaves writers of other days alone; CREATE ... PARTITION OF stops them all.
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                           parent, name, start::text || ' 00:00+00', stop::text || ' 00:00+00');
            made := made + 1;
        EXCEPTION WHEN check_violation THEN
            -- A row of that day went to the DEFAULT partition since it was looked at.
            NULL;
        END;
    END LOOP;
    RETURN made;
END
$$;

-- partition_drop: drop whole days older than `keep_days`, and such rows of the DEFAULT partition;
-- with `only_empty`, days that hold no row any more and nothing else. Returns how many days.
CREATE FUNCTION partition_drop(parent text, keep_days integer, only_empty boolean DEFAULT false)
RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    key_column text;
    oldest date := (now() AT TIME ZONE 'UTC')::date - keep_days;
    child text;
    taken boolean;
    dropped integer := 0;
BEGIN
    SELECT a.attname INTO STRICT key_column
    FROM pg_partitioned_table p JOIN pg_attribute a
      ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
    WHERE p.partrelid = parent::regclass;
    FOR child IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = parent::regclass AND c.relname ~ '_[0-9]{8}$'
          AND to_date(right(c.relname, 8), 'YYYYMMDD') < oldest
        ORDER BY c.relname
    LOOP
        IF only_empty THEN
            EXECUTE format('SELECT EXISTS (SELECT FROM %I)', child) INTO taken;
            CONTINUE WHEN taken;
        END IF;
        EXECUTE format('DROP TABLE %I', child);
        dropped := dropped + 1;
    END LOOP;
    IF only_empty THEN
        RETURN dropped;
    END IF;
    EXECUTE format('DELETE FROM %I WHERE %I < $1', parent || '_default', key_column)
        USING oldest::timestamp AT TIME ZONE 'UTC';
    RETURN dropped;
END
$$;
