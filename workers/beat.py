"""Celery beat whose schedule is the job catalogue and whose memory is the database.

Each tick queues the job of every scheduled family's present slot. A row keyed (family, slot) can be
made once: a second beat, or one restarted, is harmless. Intervals are rows an operator may change.
"""

from __future__ import annotations

import logging
from typing import Any

from celery.beat import Scheduler
from django.db import Error, connection

from jobs import statements
from jobs.catalogue import FAMILIES

log = logging.getLogger(__name__)

TICK_S = 1


def queue_due() -> list[str]:
    """Queue the present slot's job of every scheduled family that has none; which families."""
    return [
        family.name
        for family in FAMILIES.values()
        if family.every_s is not None
        and statements.rows(
            "SELECT queue_slot(%(family)s, %(every_s)s)", family=family.name, every_s=family.every_s
        )[0][0]
    ]


class RowScheduler(Scheduler):
    """What `celery beat -S workers.beat:RowScheduler` runs; publishes nothing itself."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.max_interval = TICK_S

    def setup_schedule(self) -> None:
        """There is none in memory."""

    def tick(self, *args: Any, **options: Any) -> float:
        """Queue what is due; seconds until the next look."""
        try:
            queue_due()
        except Error as why:
            log.warning("beat waits for the database", extra={"why": str(why)})
            connection.close()
        return TICK_S

    def close(self) -> None:
        """Nothing is kept that would have to be written down."""
        connection.close()
