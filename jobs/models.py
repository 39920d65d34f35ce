"""Rows of owed work, of finished work, and of what an operator changed about a family.

Here: the tables `job`, `job_done`, `job_family` and, because the journal is work owed, `change`.
Not here: how a row is written (enqueue, the SQL function `owe`) or worked off (workers.runner).

Promise: `job` holds unfinished rows only, at most one per (family, key).
"""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from core.names import new_id

READY = "ready"
LEASED = "leased"
PAUSED = "paused"
FAILED = "failed"
STATES = (READY, LEASED, PAUSED, FAILED)

DONE = "done"
CANCELLED = "cancelled"
OUTCOMES = (DONE, FAILED, CANCELLED)


class JobColumns(models.Model):
    """What an unfinished and a finished job have in common."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    family = models.TextField()
    subject = models.TextField(blank=True, help_text="What the work is about; most often an id.")
    key = models.TextField(blank=True, help_text="Owing the same key again joins this row.")
    state = models.TextField(choices=[(state, state) for state in STATES], default=READY)
    priority = models.IntegerField(default=0, help_text="The smallest goes first.")
    cursor = models.JSONField(null=True, blank=True)
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(null=True, blank=True)
    attempts = models.IntegerField(default=0)
    run_at = models.DateTimeField(db_default=Now())
    lease_until = models.DateTimeField(null=True, blank=True)
    token = models.BigIntegerField(default=0, help_text="Fencing token of the latest lease.")
    owed_again = models.BooleanField(default=False, help_text="Owed anew while it was running.")
    cancel_requested = models.BooleanField(default=False)
    last_error = models.TextField(blank=True, default="")
    sent_at = models.DateTimeField(null=True, blank=True, help_text="Given to the queue.")
    created = models.DateTimeField(db_default=Now())
    changed = models.DateTimeField(db_default=Now())
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.family} {self.subject}".rstrip()

    @property
    def progress(self) -> str:
        """`done/total`, or `done` while the total is unknown."""
        return str(self.done) if self.total is None else f"{self.done}/{self.total}"


class Job(JobColumns):
    """One piece of owed work that is not finished."""

    class Meta:
        db_table = "job"
        constraints = [
            models.UniqueConstraint(fields=["family", "key"], name="job_key"),
            models.CheckConstraint(condition=Q(state__in=STATES), name="job_state"),
            models.CheckConstraint(
                condition=~Q(state=LEASED) | Q(lease_until__isnull=False), name="job_lease"
            ),
        ]
        indexes = [
            models.Index(
                fields=["family", "priority", "run_at"],
                name="job_unsent",
                condition=Q(state=READY, sent_at__isnull=True),
            ),
            models.Index(
                fields=["family", "sent_at"],
                name="job_sent",
                condition=Q(state=READY, sent_at__isnull=False),
            ),
            models.Index(fields=["family"], name="job_leased", condition=Q(state=LEASED)),
        ]


class JobDone(JobColumns):
    """A finished job; partitioned by day, whole days are dropped after a while."""

    finished = models.DateTimeField(db_default=Now())
    outcome = models.TextField(choices=[(outcome, outcome) for outcome in OUTCOMES])

    class Meta:
        managed = False
        db_table = "job_done"
        verbose_name = "finished job"


class JobFamily(models.Model):
    """What an operator set for one family; absent values mean those of the catalogue."""

    name = models.TextField(primary_key=True)
    paused = models.BooleanField(default=False)
    interval_s = models.PositiveIntegerField(null=True, blank=True)
    steps_per_s = models.FloatField(null=True, blank=True)
    last_slot = models.DateTimeField(null=True, blank=True, editable=False)
    changed = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "job_family"
        verbose_name_plural = "job families"
        constraints = [
            models.CheckConstraint(
                condition=Q(interval_s__isnull=True) | Q(interval_s__gte=1),
                name="job_family_interval",
            ),
            models.CheckConstraint(
                condition=Q(steps_per_s__isnull=True) | Q(steps_per_s__gt=0),
                name="job_family_throttle",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Change(models.Model):
    """One committed metadata change, as readers of the journal meet it."""

    id = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    kind = models.TextField()
    bucket_id = models.UUIDField(null=True)
    key = models.TextField(null=True)
    seq = models.BigIntegerField(null=True)
    body = models.JSONField()

    class Meta:
        managed = False
        db_table = "change"
        ordering = [F("id").desc()]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"
