"""What operators do to jobs and families: pause, resume, cancel, retry, set.

Each returns how many rows it changed. A running job notices within a second or two, between two
steps; until then it finishes the step it is in.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Now

from jobs import queries, statements
from jobs.catalogue import FAMILIES
from jobs.enqueue import enqueue
from jobs.models import CANCELLED, FAILED, LEASED, PAUSED, READY, Job, JobDone, JobFamily


def pause(ids: Collection[UUID]) -> int:
    """Stop these jobs where they are; their cursor is kept."""
    return Job.objects.filter(pk__in=ids, state__in=[READY, LEASED]).update(
        state=PAUSED, changed=Now()
    )


def resume(ids: Collection[UUID]) -> int:
    """Let paused jobs go on from their cursor."""
    resumed = Job.objects.filter(pk__in=ids, state=PAUSED).update(
        state=READY, sent_at=None, lease_until=None, run_at=Now(), changed=Now()
    )
    return _told(resumed)


def cancel(ids: Collection[UUID]) -> int:
    """Give up these jobs: waiting ones at once, running ones after their present step."""
    with transaction.atomic():
        discarded = statements.changed(queries.DISCARD, ids=list(ids))
        asked = Job.objects.filter(pk__in=ids, state=LEASED).update(
            cancel_requested=True, changed=Now()
        )
    return discarded + asked


def retry(ids: Collection[UUID]) -> int:
    """Run failed jobs, those backing off, and finished ones that did not succeed, now."""
    with transaction.atomic():
        again = Job.objects.filter(pk__in=ids, state__in=[READY, FAILED]).update(
            state=READY, attempts=0, sent_at=None, run_at=Now(), changed=Now()
        )
        for old in JobDone.objects.filter(pk__in=ids, outcome__in=[FAILED, CANCELLED]):
            if old.family in FAMILIES:
                enqueue(FAMILIES[old.family], old.subject, detail=old.detail)
                again += 1
    return _told(again)


def pause_family(name: str) -> None:
    """Start nothing of this family; running jobs stop between two steps and keep their cursor."""
    JobFamily.objects.update_or_create(name=name, defaults={"paused": True, "changed": Now()})


def resume_family(name: str) -> None:
    """Let a paused family go on."""
    JobFamily.objects.update_or_create(name=name, defaults={"paused": False, "changed": Now()})
    _told(1)


def set_family(name: str, *, interval_s: int | None, steps_per_s: float | None) -> None:
    """Override the catalogue's interval and throttle; None goes back to it."""
    JobFamily.objects.update_or_create(
        name=name,
        defaults={"interval_s": interval_s, "steps_per_s": steps_per_s, "changed": Now()},
    )


def _told(number: int) -> int:
    if number:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify('job', '')")
    return number
