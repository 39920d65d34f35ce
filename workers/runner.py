"""Runs one job: claim, step by step, finish. The only caller of handlers.

Promise: between two steps progress is saved, the claim checked, pause, cancel and throttle
honoured; whatever happens, the row says what comes next, and a runner that lost its claim changes
nothing.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from uuid import UUID

from django.db import Error, connection

from core import clock, metrics
from core.config import config
from core.errors import LeaseLost, StoreError
from jobs.lease import Lease
from jobs.models import CANCELLED, DONE
from jobs.step import GiveUp, NotYet, Step
from workers import stopping
from workers.context import Context
from workers.registry import HANDLERS
from workers.renewal import renewals

log = logging.getLogger(__name__)

ERROR_CHARACTERS = 2000


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How often a running job does what."""

    save_every_s: float
    look_every_s: float = 1.0
    # A long job gives others a turn at the next step it can resume from, and goes on later; far
    # below the broker's visibility time-out.
    slice_s: float = 300.0


def run_job(job_id: UUID, pace: Pace | None = None) -> str:
    """Run the job as far as it goes now; says in a word how that ended (for logs and tests)."""
    lease = Lease.claim(job_id)
    if lease is None:
        return "not due"
    pace = pace or Pace(save_every_s=config().jobs.save_every_s)
    try:
        with renewals.hold(lease):
            ended = _Run(lease, pace).outcome()
        metrics.jobs_done.add((lease.family.name, ended))
        return ended
    except LeaseLost:
        log.warning("lease lost", extra={"family": lease.family.name, "job": str(job_id)})
        return "lost"
    except Error as why:
        # The database is away: nothing can be said on the row; its lease runs out and it is queued.
        log.error("job left behind", extra={"job": str(job_id), "why": str(why)})
        return "left"


class _Run:
    """One attempt."""

    def __init__(self, lease: Lease, pace: Pace) -> None:
        self.lease = lease
        self.pace = pace
        self.started = self.saved = self.looked = clock.monotonic()
        self.unsaved: Step | None = None

    def outcome(self) -> str:
        """Work, then let the row say how it ended."""
        lease = self.lease
        try:
            ended = self._steps()
        except LeaseLost:
            raise
        except NotYet as why:
            self._save()
            kept = lease.release(after_s=why.after_s, error=why.reason, forgive=True)
            return _if(kept, "not yet")
        except GiveUp as why:
            return _if(lease.give_up(str(why)), "gave up")
        except Exception as why:
            named = {"family": lease.family.name, "job": str(lease.job_id)}
            log.exception("job failed", extra=named)
            # The handler's own statement may be what broke the connection.
            connection.close_if_unusable_or_obsolete()
            self._save()
            return _if(lease.fail(_told(why)), "failed")
        if ended in (DONE, CANCELLED):
            return _if(lease.finish(ended), ended)
        return _if(lease.release(forgive=True), ended)

    def _steps(self) -> str:
        handler = HANDLERS.get(self.lease.family.name)
        if handler is None:
            raise GiveUp(f"nothing here handles {self.lease.family.name}")
        steps = handler(self.lease.subject, self.lease.cursor, Context(self.lease))
        try:
            for step in steps:
                ended = self._between(step)
                if ended is not None:
                    return ended
        finally:
            # Not left to the collector: what the handler holds open is let go before the row is.
            close = getattr(steps, "close", None)
            if close is not None:
                close()
        self.lease.check()
        self._save()
        return DONE

    def _between(self, step: Step) -> str | None:
        """All that happens between two steps; a word when the run ends here."""
        lease, now = self.lease, clock.monotonic()
        lease.check()
        self.unsaved = step
        if now - self.saved >= self.pace.save_every_s:
            self._save()
        elif now - self.looked >= self.pace.look_every_s:
            lease.renew()
            self.looked = now
        lease.check()
        if lease.cancelled:
            self._save()
            return CANCELLED
        if lease.paused or lease.family_paused:
            self._save()
            return "paused"
        # Without a cursor the job would start over, and never end if one slice is too short for it.
        is_over = step.cursor is not None and now - self.started >= self.pace.slice_s
        if is_over or stopping.is_requested():
            self._save()
            return "to be continued"
        if lease.steps_per_s:
            _rest(now + 1 / lease.steps_per_s)
        return None

    def _save(self) -> None:
        if self.unsaved is not None:
            self.lease.save(self.unsaved)
            self.unsaved = None
            self.saved = self.looked = clock.monotonic()
            self.lease.check()


def _told(why: Exception) -> str:
    """What an operator reads on the row."""
    # An error of ours begins with its name as it is.
    said = str(why) if isinstance(why, StoreError) else f"{type(why).__name__}: {why}"
    return said[:ERROR_CHARACTERS]


def _if(kept: bool, ended: str) -> str:
    return ended if kept else "lost"


def _rest(until: float) -> None:
    remaining = until - clock.monotonic()
    if remaining > 0:
        threading.Event().wait(remaining)
