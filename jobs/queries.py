"""The questions asked of job rows, each with a name.

All times are the database's: workers' clocks may differ, leases may not. They are a statement's
own, not its transaction's: within one, rows become due as they are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from jobs import statements
from jobs.catalogue import Family
from jobs.models import Job, JobDone

_COLUMNS = [field.column for field in Job._meta.concrete_fields]
_LIST = ", ".join(f'"{column}"' for column in _COLUMNS)

CLAIM = """
UPDATE job SET
    state = 'leased', token = nextval('job_token_seq'), attempts = attempts + 1,
    lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s), changed = now()
WHERE id = %(id)s
  AND ((state = 'ready' AND run_at <= statement_timestamp())
    OR (state = 'leased' AND lease_until < clock_timestamp()))
  AND NOT EXISTS (SELECT FROM job_family f WHERE f.name = job.family AND f.paused)
RETURNING subject, cursor, detail, token, attempts,
    (SELECT f.steps_per_s FROM job_family f WHERE f.name = job.family)
"""

RENEW = """
UPDATE job SET lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s)
WHERE id = %(id)s AND token = %(token)s AND state IN ('leased', 'paused')
RETURNING state, attempts, cancel_requested,
    EXISTS (SELECT FROM job_family f WHERE f.name = job.family AND f.paused)
"""

# A cursor that moved makes earlier failures forgotten: attempts count those without progress.
SAVE = """
UPDATE job SET
    attempts = CASE WHEN cursor IS DISTINCT FROM %(cursor)s::jsonb THEN 1 ELSE attempts END,
    cursor = %(cursor)s::jsonb, done = %(done)s, total = %(total)s, changed = now(),
    lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s)
WHERE id = %(id)s AND token = %(token)s AND state IN ('leased', 'paused')
RETURNING state, attempts, cancel_requested,
    EXISTS (SELECT FROM job_family f WHERE f.name = job.family AND f.paused)
"""

# Back into the queue: after a failure, a pause of the family, a full time slice, or NotYet.
RELEASE = """
UPDATE job SET
    state = CASE WHEN state = 'paused' THEN 'paused' ELSE 'ready' END,
    run_at = statement_timestamp() + make_interval(secs => %(after_s)s),
    attempts = greatest(attempts - %(forgive)s, 0), last_error = %(error)s,
    lease_until = NULL, sent_at = NULL, changed = now()
WHERE id = %(id)s AND token = %(token)s AND state IN ('leased', 'paused')
"""

PARK = """
UPDATE job SET state = 'failed', last_error = %(error)s, lease_until = NULL, changed = now()
WHERE id = %(id)s AND token = %(token)s AND state IN ('leased', 'paused')
"""

RUN_AGAIN = """
UPDATE job SET
    state = CASE WHEN state = 'paused' THEN 'paused' ELSE 'ready' END, owed_again = false,
    cursor = NULL, done = 0, total = NULL, attempts = 0, cancel_requested = false,
    run_at = statement_timestamp(), lease_until = NULL, sent_at = NULL, last_error = '',
    changed = now()
WHERE id = %(id)s AND token = %(token)s AND state IN ('leased', 'paused') AND owed_again
"""

FINISH = f"""
WITH gone AS (
    DELETE FROM job
    WHERE id = %(id)s AND token = %(token)s AND state IN ('leased', 'paused') AND NOT owed_again
    RETURNING *
)
INSERT INTO job_done ({_LIST}, finished, outcome)
SELECT {_LIST}, statement_timestamp(), %(outcome)s FROM gone
"""

# A scheduled job that failed makes way for the next slot; the others stay, to be seen and retried.
# Whoever failed it, and whatever became of them since: a row left here would end the schedule.
RETIRE_SLOTS = f"""
WITH gone AS (
    DELETE FROM job WHERE family = ANY(%(scheduled)s) AND state = 'failed' AND key LIKE 'slot:%%'
    RETURNING *
)
INSERT INTO job_done ({_LIST}, finished, outcome)
SELECT {_LIST}, statement_timestamp(), 'failed' FROM gone
"""

DISCARD = f"""
WITH gone AS (DELETE FROM job WHERE id = ANY(%(ids)s) AND state <> 'leased' RETURNING *)
INSERT INTO job_done ({_LIST}, finished, outcome)
SELECT {_LIST}, statement_timestamp(), 'cancelled' FROM gone
"""

# A worker that vanished leaves its lease behind. The attempt counts: a job that kills its worker
# must not kill workers for ever.
EXPIRE = """
UPDATE job SET
    state = CASE WHEN job.attempts >= f.attempts THEN 'failed' ELSE 'ready' END,
    run_at = statement_timestamp(), sent_at = NULL, lease_until = NULL, changed = now(),
    last_error = 'the worker vanished'
FROM unnest(%(families)s::text[], %(attempts)s::integer[]) f(name, attempts)
WHERE job.state = 'leased' AND job.lease_until < clock_timestamp() AND job.family = f.name
"""

# Rows never sent, per family as many as its queue has room for. Marked before they are published:
# no row lock is held while Redis is spoken to, and what a crash loses in between, RESEND finds.
# ANY(ARRAY(...)) and not a join: the planner would read the whole backlog to join a handful of ids.
TAKE = """
WITH open AS (
    SELECT f.name, f.room - (
        SELECT count(*) FROM job s
        WHERE s.family = f.name AND s.state = 'ready' AND s.sent_at IS NOT NULL) AS room
    FROM unnest(%(families)s::text[], %(rooms)s::integer[]) f(name, room)
    WHERE NOT EXISTS (SELECT FROM job_family p WHERE p.name = f.name AND p.paused)
), due AS (
    SELECT d.id FROM open CROSS JOIN LATERAL (
        SELECT id FROM job
        WHERE family = open.name AND state = 'ready' AND sent_at IS NULL
          AND run_at <= statement_timestamp()
        ORDER BY priority, run_at LIMIT greatest(open.room, 0) FOR UPDATE SKIP LOCKED
    ) d
)
UPDATE job SET sent_at = statement_timestamp() WHERE id = ANY(ARRAY(SELECT id FROM due))
RETURNING id, family, priority, run_at
"""

# Sent rows without a message: a row that merely waits its turn has its message, and a second one
# would only lengthen the queue.
RESEND = """
WITH lost AS (
    SELECT d.id FROM unnest(%(families)s::text[]) f(name) CROSS JOIN LATERAL (
        SELECT id FROM job
        WHERE family = f.name AND state = 'ready' AND run_at <= statement_timestamp()
          AND sent_at <= statement_timestamp() - make_interval(secs => %(after_s)s)
          AND id <> ALL(%(lying)s::uuid[])
        FOR UPDATE SKIP LOCKED
    ) d
    WHERE NOT EXISTS (SELECT FROM job_family p WHERE p.name = f.name AND p.paused)
)
UPDATE job SET sent_at = statement_timestamp() WHERE id = ANY(ARRAY(SELECT id FROM lost))
RETURNING id, family, priority, run_at
"""

# Times further ahead than anything is put off, or any lease reaches, were written by a clock that
# has been put back since: such a job would wait until they come again. Whoever holds a lease keeps
# it: the new end is later than the one it goes by. What was sent is not sent anew here: its message
# may be on its way, and RESEND sees to it.
PULL_BACK = """
WITH unsent AS (
    SELECT d.id FROM unnest(%(families)s::text[]) f(name) CROSS JOIN LATERAL (
        SELECT id FROM job WHERE family = f.name AND state = 'ready' AND sent_at IS NULL
          AND run_at > statement_timestamp() + make_interval(secs => %(wait_s)s)
        FOR UPDATE SKIP LOCKED
    ) d
), sent AS (
    SELECT d.id FROM unnest(%(families)s::text[]) f(name) CROSS JOIN LATERAL (
        SELECT id FROM job WHERE family = f.name AND state = 'ready'
          AND sent_at > statement_timestamp() + make_interval(secs => %(wait_s)s)
        FOR UPDATE SKIP LOCKED
    ) d
), leased AS (
    SELECT d.id FROM unnest(%(families)s::text[]) f(name) CROSS JOIN LATERAL (
        SELECT id FROM job WHERE family = f.name AND state = 'leased'
          AND lease_until > clock_timestamp() + make_interval(secs => %(lease_s)s)
        FOR UPDATE SKIP LOCKED
    ) d
)
UPDATE job SET
    run_at = least(run_at, statement_timestamp()),
    sent_at = CASE WHEN sent_at > statement_timestamp() THEN statement_timestamp() ELSE sent_at END,
    lease_until = CASE WHEN state = 'leased'
        THEN least(lease_until, clock_timestamp() + make_interval(secs => %(lease_s)s)) END
WHERE id = ANY(ARRAY(
    SELECT id FROM unsent UNION ALL SELECT id FROM sent UNION ALL SELECT id FROM leased))
"""

UNSEND = "UPDATE job SET sent_at = NULL WHERE id = ANY(%(ids)s) AND state = 'ready'"

OLDEST_SENT = """
SELECT extract(epoch FROM statement_timestamp() - min(run_at)) FROM job
WHERE state = 'ready' AND sent_at < statement_timestamp() - interval '5 s'
  AND run_at <= statement_timestamp() AND family = ANY(%(families)s)
  AND NOT EXISTS (SELECT FROM job_family p WHERE p.name = job.family AND p.paused)
"""


def interval_s(family: Family) -> int | None:
    """At which interval the family's job is queued: an operator's, else the catalogue's."""
    asked = "SELECT interval_s FROM job_family WHERE name = %s"
    return statements.one(asked, family.name) or family.every_s


def unfinished(*, family: str = "", state: str = "", limit: int = 100) -> Sequence[Job]:
    """Unfinished jobs, those next in line first."""
    found = Job.objects.order_by("priority", "run_at", "id")
    if family:
        found = found.filter(family=family)
    if state:
        found = found.filter(state=state)
    return list(found[:limit])


def finished(*, family: str = "", limit: int = 100) -> Sequence[JobDone]:
    """Finished jobs, the latest first."""
    found = JobDone.objects.order_by("-finished")
    return list((found.filter(family=family) if family else found)[:limit])


def find(job_id: UUID) -> Job | JobDone | None:
    """The job of that id, finished or not."""
    return (
        Job.objects.filter(pk=job_id).first()
        or JobDone.objects.filter(pk=job_id).order_by("-finished").first()
    )


def counts() -> dict[tuple[str, str], int]:
    """How many unfinished jobs of each family are in each state."""
    return {
        (family, state): number
        for family, state, number in statements.rows(
            "SELECT family, state, count(*) FROM job GROUP BY family, state"
        )
    }
