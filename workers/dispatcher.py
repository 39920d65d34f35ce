"""Takes due job rows to Celery: when told so by NOTIFY, and each second in any case.

Any number may run: rows are taken with SKIP LOCKED and marked before they are published. What a
crash between the two, or an emptied Redis, loses is sent again by the sweep: after a minute, the
rows whose messages lie in no queue. What is sent twice finds its row taken. Nothing here waits for
Redis with a row locked.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django.db import Error, connection

from core import clock, failpoints
from core.config import config
from jobs import queries, statements
from jobs.catalogue import FAMILIES, LONGEST_WAIT_S
from workers.gauges import Gauges
from workers.tasks import Due, lying, publish

log = logging.getLogger(__name__)

SWEEP_EVERY_S = 5.0
# After a failure of PostgreSQL or Redis.
RETRY_AFTER_S = 1.0

READ = failpoints.declare(
    "dispatcher.read", point="C10", doc="job rows are about to be taken from the table"
)
TAKEN = failpoints.declare(
    "dispatcher.taken", point="C10", doc="rows are marked as sent and not yet published"
)
PUBLISHED = failpoints.declare(
    "dispatcher.published", point="C10", doc="the first of a batch's ids is published, others not"
)

Publish = Callable[[Sequence[Due]], None]
# The jobs whose messages lie in these families' queues.
Lying = Callable[[Sequence[str]], list[UUID]]


class Dispatcher:
    """One round after the other; keeps nothing that matters in memory."""

    def __init__(self, send: Publish = publish, lying: Lying = lying) -> None:
        self._send = send
        self._lying = lying
        self._sweep_at = 0.0
        self._families = sorted(FAMILIES)
        self._scheduled = [name for name in self._families if FAMILIES[name].every_s is not None]
        self._rooms = [FAMILIES[name].window for name in self._families]

    def round(self) -> int:
        """Publish what is due now; how many that was."""
        READ.hit()
        sent = self._publish(
            statements.rows(queries.TAKE, families=self._families, rooms=self._rooms)
        )
        if clock.monotonic() >= self._sweep_at:
            self._sweep_at = clock.monotonic() + SWEEP_EVERY_S
            sent += self.sweep()
        return sent

    def sweep(self) -> int:
        """Free the leases of vanished workers, the slots of failed jobs, and what a clock put off
        that was ahead; publish again what got lost on its way.
        """
        expired = statements.changed(
            queries.EXPIRE,
            families=self._families,
            attempts=[FAMILIES[name].attempts for name in self._families],
        )
        if expired:
            log.warning("leases expired", extra={"jobs": expired})
        statements.changed(queries.RETIRE_SLOTS, scheduled=self._scheduled)
        put_off = statements.changed(
            queries.PULL_BACK,
            families=self._families,
            wait_s=LONGEST_WAIT_S,
            lease_s=max(each.lease_s for each in FAMILIES.values()),
        )
        if put_off:
            log.warning("the clock was put back; jobs were to wait", extra={"jobs": put_off})
        lost = statements.rows(
            queries.RESEND,
            families=self._families,
            lying=self._lying(self._families),
            after_s=config().jobs.sweep_after_s,
        )
        if lost:
            log.warning("jobs sent again", extra={"jobs": len(lost)})
        return self._publish(lost)

    def _publish(self, taken: list[tuple[Any, ...]]) -> int:
        """The most urgent first."""
        if not taken:
            return 0
        taken.sort(key=lambda row: row[2:])
        batch = [Due(job_id, family) for job_id, family, _, _ in taken]
        TAKEN.hit()
        try:
            self._send(batch[:1])
            PUBLISHED.hit()
            self._send(batch[1:])
        except Exception:
            # Not known which of them arrived; those that did find their row in order when they run.
            statements.changed(queries.UNSEND, ids=[due.job_id for due in batch])
            raise
        return len(batch)


def run(stop: threading.Event, dispatcher: Dispatcher | None = None) -> None:
    """Dispatch until `stop` is set; failures of PostgreSQL or Redis are waited out."""
    dispatcher, gauges = dispatcher or Dispatcher(), Gauges()
    while not stop.is_set():
        try:
            _listen()
            while not stop.is_set():
                dispatcher.round()
                gauges.keep()
                _wait_for_notice(config().jobs.poll_s)
        except Exception as why:
            log.warning("dispatcher starts over", extra={"why": f"{type(why).__name__}: {why}"})
            connection.close()
            stop.wait(RETRY_AFTER_S)
    connection.close()


def _listen() -> None:
    with connection.cursor() as cursor:
        cursor.execute("LISTEN job")


def _wait_for_notice(timeout_s: float) -> None:
    """Return when a job was owed, or after `timeout_s`."""
    if connection.connection is None:
        raise Error("the connection was closed")
    for _ in connection.connection.notifies(timeout=timeout_s, stop_after=1):
        pass
