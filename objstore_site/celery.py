"""The Celery application: queues, routes and tasks as the job catalogue declares them."""

from __future__ import annotations

import django
from celery import Celery
from django.conf import settings
from kombu import Queue

from core.config import default_environment
from jobs.catalogue import FAMILIES

default_environment("DJANGO_SETTINGS_MODULE", "objstore_site.settings")
if not settings.configured:
    django.setup()

app = Celery("objstore")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.task_queues = [Queue(name) for name in sorted({f.queue for f in FAMILIES.values()})]
app.conf.task_routes = {family.task: {"queue": family.queue} for family in FAMILIES.values()}
app.set_default()
# Celery imports them in each worker: the tasks, and what watches that the worker is not deaf.
app.conf.imports = ("workers.tasks", "workers.watchdog")
