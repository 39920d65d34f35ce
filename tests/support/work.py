"""Families of work made up for one test, the rows they leave, and work done by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import connection

from jobs.catalogue import FAMILIES, Family
from jobs.enqueue import enqueue
from jobs.models import Job
from workers.registry import HANDLERS, Handler, handles


class Claim:
    """A claim that is never lost."""

    job_id = UUID(int=1)

    def check(self) -> None:
        return


def perform(handler: Handler, subject: object = "") -> None:
    """One job of a family, from its beginning to its end."""
    for _ in handler(str(subject), None, Claim()):  # type: ignore[arg-type]
        pass


def rounds_of(handler: Handler, number: int) -> None:
    """That many jobs of a family, one after the other."""
    for _ in range(number):
        perform(handler)


@contextmanager
def family(name: str, handler: Handler | None = None, **settings: Any) -> Iterator[Family]:
    """A family of this name for the length of the block, worked off by `handler`."""
    made = Family(name=name, does="Test.", **settings)
    if handler is not None:
        handles(made)(handler)
    try:
        yield made
    finally:
        del FAMILIES[name]
        HANDLERS.pop(name, None)


def owe(made: Family, subject: str = "one", **options: Any) -> UUID:
    """Owe work; the id of its row."""
    enqueue(made, subject, **options)
    return Job.objects.get(family=made.name, key=subject).id


def job(job_id: UUID) -> Job:
    """The unfinished row as it is now."""
    return Job.objects.get(pk=job_id)


def age(column: str, job_id: UUID, seconds: float) -> None:
    """Make a time of a job lie `seconds` before the database's present."""
    with connection.cursor() as cursor:
        cursor.execute(
            f'UPDATE job SET "{column}" = now() - make_interval(secs => %s) WHERE id = %s',
            [seconds, job_id],
        )
