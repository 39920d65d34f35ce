"""Prepares the coming days' partitions and drops those of days long past."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import transaction

from core.config import config
from jobs import statements
from jobs.catalogue import PARTITIONS
from jobs.step import Step
from workers.context import Context
from workers.registry import handles

BY_DAY = ("change", "usage_delta", "job_done")
DAYS_AHEAD = 3
# Attaching a partition must never hold up a commit: it gives way, and is tried again later.
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '200ms'"


@handles(PARTITIONS)
def partitions(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
    """One statement after the other, each in a transaction of its own."""
    keep_days = config().jobs.keep_days
    upkeep = [f"SELECT partition_ahead('{table}', {DAYS_AHEAD})" for table in BY_DAY]
    upkeep.append(f"SELECT partition_drop('job_done', {keep_days})")
    # What is folded is deleted row by row; the journal's days go when the journal has them.
    upkeep.append("SELECT partition_drop('usage_delta', 1, true)")
    for done, statement in enumerate(upkeep, start=1):
        with transaction.atomic():
            statements.changed(LOCK_TIMEOUT)
            statements.rows(statement)
        yield Step(done=done, total=len(upkeep))
