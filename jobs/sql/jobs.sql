-- Finished jobs, leases' tokens, and the one way to owe work.

CREATE SEQUENCE job_token_seq;

CREATE TABLE job_done (
    LIKE job INCLUDING DEFAULTS,
    finished timestamptz NOT NULL DEFAULT now(),
    outcome text NOT NULL CHECK (outcome IN ('done', 'failed', 'cancelled')),
    PRIMARY KEY (finished, id)
) PARTITION BY RANGE (finished);
CREATE TABLE job_done_default PARTITION OF job_done DEFAULT;
CREATE INDEX job_done_id ON job_done (id);
CREATE INDEX job_done_family ON job_done (family, finished);

-- owe: the work exists after the caller's commit, or vanishes with it. One unfinished row per
-- (family, subject): owing it again joins that row, moves it forward, and revives a failed one.
-- One that has begun is marked, so that it runs once more: it may have passed what changed.
-- Callers that owe several rows in one transaction do so sorted by (family, subject).
CREATE FUNCTION owe(
    the_family text,
    the_subject text,
    the_priority integer DEFAULT 0,
    the_run_at timestamptz DEFAULT NULL,
    the_detail jsonb DEFAULT '{}'
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    due timestamptz := coalesce(the_run_at, now());
BEGIN
    INSERT INTO job AS j (
        id, family, subject, key, state, priority, run_at, done, attempts, token, owed_again,
        cancel_requested, last_error, created, changed, detail
    )
    VALUES (
        gen_random_uuid(), the_family, the_subject, the_subject, 'ready', the_priority, due,
        0, 0, 0, false, false, '', now(), now(), coalesce(the_detail, '{}')
    )
    ON CONFLICT (family, key) DO UPDATE SET
        state = CASE WHEN j.state = 'failed' THEN 'ready' ELSE j.state END,
        attempts = CASE WHEN j.state = 'failed' THEN 0 ELSE j.attempts END,
        -- A failed row starts over: its cursor belongs to the work owed before.
        cursor = CASE WHEN j.state = 'failed' THEN NULL ELSE j.cursor END,
        sent_at = CASE WHEN j.state = 'failed' THEN NULL ELSE j.sent_at END,
        priority = least(j.priority, excluded.priority),
        run_at = CASE
            WHEN j.state = 'failed' THEN excluded.run_at
            WHEN j.attempts > 0 THEN j.run_at   -- backing off: owing it anew is no reason to hurry
            ELSE least(j.run_at, excluded.run_at)
        END,
        owed_again = j.owed_again OR j.state = 'leased'
            OR (j.state <> 'failed' AND j.cursor IS NOT NULL),
        detail = j.detail || excluded.detail,
        changed = now();
    IF due <= now() THEN
        PERFORM pg_notify('job', '');
    END IF;
END
$$;

-- queue_slot: queue a scheduled family's job for the present slot of its interval, once, however
-- many ask. A slot whose predecessor is not finished is passed over: work does not pile up.
--
-- A last slot that lies ahead was queued by a clock that has been put back since: the present one counts
-- anew, or the family would stand still for as long as that clock was ahead. A beat that was held up
-- brings an older slot as well, but the last one does not lie ahead then: it queues nothing. That is
-- why the clock is read again here, and not only when the statement began.
CREATE FUNCTION queue_slot(the_family text, default_interval integer) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    every double precision := coalesce(
        (SELECT interval_s FROM job_family WHERE name = the_family), default_interval);
    slot timestamptz := to_timestamp(floor(extract(epoch FROM now()) / every) * every);
    slot_key text := 'slot:' || to_char(slot AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISS');
BEGIN
    INSERT INTO job_family AS f (name, paused, last_slot, changed)
    VALUES (the_family, false, slot, now())
    ON CONFLICT (name) DO UPDATE SET last_slot = excluded.last_slot
        WHERE f.last_slot IS NULL OR f.last_slot < excluded.last_slot
           OR f.last_slot > clock_timestamp();
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO job (
        id, family, subject, key, state, priority, run_at, done, attempts, token, owed_again,
        cancel_requested, last_error, created, changed, detail
    )
    SELECT gen_random_uuid(), the_family, '', slot_key, 'ready', 0, now(), 0, 0, 0, false,
           false, '', now(), now(), '{}'
    WHERE NOT EXISTS (SELECT FROM job WHERE family = the_family AND key LIKE 'slot:%')
    ON CONFLICT (family, key) DO NOTHING;
    IF FOUND THEN
        PERFORM pg_notify('job', '');
        RETURN true;
    END IF;
    RETURN false;
END
$$;
