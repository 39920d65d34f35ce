"""Keeps the leases of this process alive while their handlers are busy.

One daemon thread per process, started on first use and anew after a fork; it has a database
connection of its own, which it closes as soon as no lease is held.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import Error, connection

from core import clock
from jobs.lease import Lease

log = logging.getLogger(__name__)

# How often the thread looks; a lease is renewed once a third of it has passed.
LOOK_S = 0.5


class Renewals:
    """The leases held by this process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: dict[int, Lease] = {}
        self._thread: threading.Thread | None = None
        self._pid = 0

    @contextmanager
    def hold(self, lease: Lease) -> Iterator[None]:
        """Renew `lease` from the background for the length of the block."""
        if self._pid != os.getpid():
            # A lock taken by another thread at the time of the fork stays taken in the child.
            self.__init__()  # type: ignore[misc]  # as good as new
            self._pid = os.getpid()
        with self._changed:
            self._held[lease.token] = lease
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="leases", daemon=True)
                self._thread.start()
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                del self._held[lease.token]
                self._changed.notify()

    def join(self) -> None:
        """Wait until the thread has closed its connection; nothing may be held."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _loop(self) -> None:
        try:
            while True:
                with self._changed:
                    if not self._held:
                        self._thread = None
                        return
                    self._changed.wait(LOOK_S)
                    due = [lease for lease in self._held.values() if _is_due(lease)]
                for lease in due:
                    self._renew(lease)
        finally:
            connection.close()

    def _renew(self, lease: Lease) -> None:
        try:
            lease.renew()
        except Error as why:
            # The lease counts itself out when its time has passed; until then this is tried again.
            log.warning("lease not renewed", extra={"job": str(lease.job_id), "why": str(why)})
            connection.close()


def _is_due(lease: Lease) -> bool:
    remaining = lease.valid_until - clock.monotonic()
    return not lease.lost and remaining < lease.family.lease_s * 2 / 3


renewals = Renewals()
