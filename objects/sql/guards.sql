-- Rules no writer can get round, whatever code it comes from.

-- A bucket with versions stays. (The other half of the foreign key is in commit_versions.) Its open
-- uploads go with it.
CREATE FUNCTION guard_bucket() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT bucket_is_empty(OLD.id) THEN
        RAISE foreign_key_violation
            USING MESSAGE = format('bucket %s holds versions', OLD.id), CONSTRAINT = 'version_bucket';
    END IF;
    DELETE FROM extent USING part, upload
        WHERE extent.part_id = part.id AND part.upload_id = upload.id AND upload.bucket_id = OLD.id;
    DELETE FROM part USING upload WHERE part.upload_id = upload.id AND upload.bucket_id = OLD.id;
    DELETE FROM upload WHERE bucket_id = OLD.id;
    DELETE FROM usage WHERE bucket_id = OLD.id;
    RETURN OLD;
END
$$;

CREATE FUNCTION bucket_is_empty(bucket uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT NOT EXISTS (SELECT FROM version WHERE bucket_id = bucket)
$$;

CREATE TRIGGER guard_bucket BEFORE DELETE ON bucket FOR EACH ROW EXECUTE FUNCTION guard_bucket();

-- A locked version is not deleted and its lock not weakened. Governance gives way only to a writer who
-- said so in this transaction.
CREATE FUNCTION guard_lock() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    bypass boolean := coalesce(current_setting('objstore.bypass_governance', true), '') = 'on'
                      AND OLD.lock_mode = 'GOVERNANCE';
    held boolean := OLD.lock_until > clock_timestamp() AND NOT bypass;
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF held OR OLD.lock_hold THEN
            RAISE insufficient_privilege USING MESSAGE = 'version is locked', CONSTRAINT = 'lock';
        END IF;
        RETURN OLD;
    END IF;
    IF held AND (NEW.lock_until IS NULL OR NEW.lock_until < OLD.lock_until
                 OR NEW.lock_mode IS DISTINCT FROM OLD.lock_mode) THEN
        RAISE insufficient_privilege USING MESSAGE = 'version is locked', CONSTRAINT = 'lock';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER guard_lock_delete BEFORE DELETE ON version FOR EACH ROW
    WHEN (OLD.lock_mode IS NOT NULL OR OLD.lock_hold) EXECUTE FUNCTION guard_lock();
CREATE TRIGGER guard_lock_update BEFORE UPDATE OF lock_mode, lock_until ON version FOR EACH ROW
    WHEN (OLD.lock_mode IS NOT NULL) EXECUTE FUNCTION guard_lock();
