-- Listings with a delimiter: what is rolled up is skipped by one index probe, never scanned.

-- The smallest text greater than every text that begins with `prefix`, in byte order; NULL when there is
-- none. The last code point is raised by one, past the surrogates, which no text holds.
CREATE FUNCTION after_prefix(prefix text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    code integer;
BEGIN
    WHILE prefix <> '' LOOP
        code := ascii(right(prefix, 1));
        prefix := left(prefix, -1);
        IF code < 1114111 THEN
            RETURN prefix || chr(CASE WHEN code = 55295 THEN 57344 ELSE code + 1 END);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

-- The common prefix a key is rolled up into; NULL when it stands for itself.
CREATE FUNCTION rolled_up(key text, prefix text, delimiter text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN delimiter <> '' AND strpos(substr(key, length(prefix) + 1), delimiter) > 0
    THEN left(key, length(prefix) + strpos(substr(key, length(prefix) + 1), delimiter)
                   + length(delimiter) - 1) END
$$;
