"""One thin Celery task per family, made from the catalogue, and the way job ids reach them.

A message carries a job id and nothing else: the row decides whether the job still wants to run.
Messages may come twice, late or never; the dispatcher's sweep sends again what got lost.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from celery import Task, current_app, shared_task
from django.db import close_old_connections

from core import metrics
from core.config import config
from jobs.catalogue import FAMILIES, Family
from workers.runner import run_job

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Due:
    """A job that is to be published."""

    job_id: UUID
    family: str


def _task(family: Family) -> Task[[str], None]:
    @shared_task(name=family.task)
    def run(job_id: str) -> None:
        close_old_connections()
        try:
            run_job(UUID(job_id))
        finally:
            close_old_connections()
            _write_metrics()

    return run


def _write_metrics() -> None:
    """After every job: nobody knows when the next one comes, or whether this process sees it."""
    try:
        metrics.write(config().home / "run" / "metrics", "worker")
    except OSError as why:
        log.warning("metrics cannot be written", extra={"why": str(why)})


TASKS: dict[str, Task[[str], None]] = {family.name: _task(family) for family in FAMILIES.values()}


def publish(batch: Sequence[Due]) -> None:
    """Hand the jobs to Celery over one connection; raises when Redis does not take them."""
    with current_app.producer_or_acquire() as producer:
        for due in batch:
            TASKS[due.family].apply_async(
                args=(str(due.job_id),),
                queue=FAMILIES[due.family].queue,
                producer=producer,
                retry=False,
            )


def lying(families: Sequence[str]) -> list[UUID]:
    """The jobs whose messages lie in these families' queues; those workers hold are not among
    them.
    """
    with current_app.producer_or_acquire() as producer:
        channel = producer.channel
        # Only the commands Celery itself uses get its prefix.
        queues = [f"{channel.global_keyprefix}{FAMILIES[name].queue}" for name in families]
        lists = [channel.client.lrange(queue, 0, -1) for queue in queues]
    found = [_job_of(message) for messages in lists for message in messages]
    return [job_id for job_id in found if job_id is not None]


def _job_of(message: bytes) -> UUID | None:
    """None for what is no message of ours: Celery's worker will throw it away."""
    try:
        return UUID(json.loads(b64decode(json.loads(message)["body"]))[0][0])
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def load_handlers() -> None:
    """Import every module that declares a handler: `workers.<family>` for each family."""
    for name in FAMILIES:
        if importlib.util.find_spec(f"workers.{name}") is not None:
            importlib.import_module(f"workers.{name}")


load_handlers()
