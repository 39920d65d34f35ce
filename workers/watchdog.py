"""A Celery worker that has gone deaf ends itself, and is started again by whoever started it.

A consumer can lose its broker connection without noticing. The sign: this worker has nothing to do,
yet jobs of its queues, published and published again, have waited for over a minute.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from typing import Any

from celery.signals import worker_ready, worker_shutting_down
from celery.worker import state
from django.db import Error, connection

from core import clock
from jobs import queries, statements
from jobs.catalogue import FAMILIES
from workers import stopping

log = logging.getLogger(__name__)

# Longer than the dispatcher's sweep takes to send again what an emptied Redis lost.
DEAF_AFTER_S = 75.0
LOOK_EVERY_S = 5.0


class Watch:
    """Decides whether a worker is deaf; pure."""

    def __init__(self, now: float) -> None:
        self._idle_since = now

    def is_deaf(self, *, now: float, busy: bool, oldest_s: float | None) -> bool:
        """`oldest_s`: for how long the oldest published job has been waiting, None without one."""
        if busy:
            self._idle_since = now
        idle_s = now - self._idle_since
        return oldest_s is not None and min(idle_s, oldest_s) > DEAF_AFTER_S


def oldest_waiting_s(families: list[str]) -> float | None:
    """For how long the longest-waiting published job of these families has been waiting."""
    found = statements.rows(queries.OLDEST_SENT, families=families)[0][0]
    return None if found is None else float(found)


_stop = threading.Event()


@worker_ready.connect
def _start(sender: Any = None, **_: Any) -> None:
    consumed = {queue.name for queue in sender.task_consumer.queues}
    families = [family.name for family in FAMILIES.values() if family.queue in consumed]
    threading.Thread(target=_look, args=(families,), name="watchdog", daemon=True).start()


@worker_shutting_down.connect
def _end(**_: Any) -> None:
    stopping.request()
    _stop.set()


def _look(families: list[str]) -> None:
    watch = Watch(clock.monotonic())
    while not _stop.wait(LOOK_EVERY_S):
        try:
            oldest_s = oldest_waiting_s(families)
        except Error:
            connection.close()
            oldest_s = None
        busy = bool(state.active_requests) or bool(state.reserved_requests)
        if watch.is_deaf(now=clock.monotonic(), busy=busy, oldest_s=oldest_s):
            log.error("this worker hears nothing of its queues and ends", extra={"s": oldest_s})
            os.kill(os.getpid(), signal.SIGTERM)
            return
