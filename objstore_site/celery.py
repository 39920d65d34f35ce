"""The Celery application. Tasks, queues and routes come from the job catalogue (workers)."""

from __future__ import annotations

import logging
from typing import Any

import django
from celery import Celery
from celery.signals import setup_logging
from kombu import Queue

from core import logs
from core.config import config, default_environment
from jobs.catalogue import FAMILIES
from objstore_site.running import reach_running_store

default_environment("DJANGO_SETTINGS_MODULE", "objstore_site.settings")
reach_running_store()
django.setup()

app = Celery("objstore")
app.config_from_object("django.conf:settings", namespace="CELERY")
# A queue per family; a worker takes from all of them unless it is told otherwise with -Q.
app.conf.task_queues = [Queue(name) for name in sorted({f.queue for f in FAMILIES.values()})]
app.conf.task_routes = {f.task: {"queue": f.queue} for f in FAMILIES.values()}
app.conf.task_default_queue = app.conf.task_queues[0].name
app.autodiscover_tasks(["workers"])
# For every thread of whoever imports this: publishing from another app would go to another broker.
app.set_default()
# Watches that the worker is not deaf, and lets running jobs stop between two steps at its end.
app.conf.imports = ("workers.watchdog",)


@setup_logging.connect
def _log_as_json(**_: Any) -> None:
    """Our format instead of Celery's."""
    logs.set_up("celery", config().logs.level)
    # Two lines per job would drown everything else; what matters of a job is on its row.
    for chatty in ("celery.worker.strategy", "celery.app.trace", "kombu"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
