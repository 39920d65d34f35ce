"""A claim on one job: fenced by a token, timed by the database, renewed by whoever holds it.

Promise: of all claims ever made on a job only the latest can save, release or finish it; a holder
that could not renew in time counts itself out before the database lets anybody else in.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction

from core import clock
from core.errors import LeaseLost
from jobs import queries, statements
from jobs.catalogue import FAMILIES, Family
from jobs.models import CANCELLED, DONE, FAILED, PAUSED
from jobs.step import Step


@dataclass(kw_only=True)
class Lease:
    """One worker's claim on one job. Renewed from one thread while used from another."""

    job_id: UUID
    family: Family
    subject: str
    cursor: Any
    detail: dict[str, Any]
    token: int
    attempts: int
    steps_per_s: float | None
    valid_until: float
    lost: bool = False
    paused: bool = False
    family_paused: bool = False
    cancelled: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def claim(cls, job_id: UUID) -> Lease | None:
        """Claim the job; None when it is not due, held by another, or finished."""
        family = _family_of(job_id)
        if family is None:
            return None
        asked = clock.monotonic()
        found = statements.rows(queries.CLAIM, id=job_id, lease_s=family.lease_s)
        if not found:
            return None
        subject, cursor, detail, token, attempts, steps_per_s = found[0]
        return cls(
            job_id=job_id,
            family=family,
            subject=subject,
            cursor=None if cursor is None else json.loads(cursor),
            detail=json.loads(detail),
            token=token,
            attempts=attempts,
            steps_per_s=steps_per_s or family.steps_per_s,
            valid_until=asked + family.lease_s,
        )

    def check(self) -> None:
        """Raise `LeaseLost` unless this claim certainly still holds."""
        if self.lost or clock.monotonic() >= self.valid_until:
            self.lost = True
            raise LeaseLost(job=self.job_id)

    def renew(self) -> None:
        """Hold the job for another lease; learns of pause and cancel."""
        asked = clock.monotonic()
        self._heard(asked, self._ask(queries.RENEW, lease_s=self.family.lease_s))

    def save(self, step: Step) -> None:
        """Remember how far the work is; it resumes from here, whoever resumes it."""
        asked = clock.monotonic()
        answer = self._ask(
            queries.SAVE,
            cursor=None if step.cursor is None else json.dumps(step.cursor),
            done=step.done,
            total=step.total,
            lease_s=self.family.lease_s,
        )
        self._heard(asked, answer)

    def release(self, *, after_s: float = 0.0, error: str = "", forgive: bool = False) -> bool:
        """Put the job back into the queue; `forgive` makes this attempt not count."""
        return self._change(queries.RELEASE, after_s=after_s, error=error, forgive=int(forgive))

    def fail(self, error: str) -> bool:
        """This attempt failed: try again later, or keep the row as failed after the last one."""
        if self.attempts < self.family.attempts:
            return self.release(after_s=self.family.backoff(self.attempts), error=error)
        return self.give_up(error)

    def give_up(self, error: str) -> bool:
        """Keep the row as failed; the dispatcher's sweep takes away a scheduled one."""
        return self._change(queries.PARK, error=error)

    def finish(self, outcome: str = DONE) -> bool:
        """Move the job to the finished ones, or queue it anew when it was owed again meanwhile."""
        assert outcome in (DONE, CANCELLED, FAILED)
        with transaction.atomic():
            return self._change(queries.FINISH, outcome=outcome) or self._change(queries.RUN_AGAIN)

    def _ask(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        return statements.rows(statement, id=self.job_id, token=self.token, **parameters)

    def _change(self, statement: str, **parameters: Any) -> bool:
        return bool(statements.changed(statement, id=self.job_id, token=self.token, **parameters))

    def _heard(self, asked: float, answer: list[tuple[Any, ...]]) -> None:
        with self.lock:
            if not answer:
                self.lost = True
                return
            state, self.attempts, self.cancelled, self.family_paused = answer[0]
            self.paused = state == PAUSED
            self.valid_until = max(self.valid_until, asked + self.family.lease_s)


def _family_of(job_id: UUID) -> Family | None:
    found = statements.rows("SELECT family FROM job WHERE id = %(id)s", id=job_id)
    return FAMILIES.get(found[0][0]) if found else None
