"""The Celery application. Tasks, queues and routes come from the job catalogue (workers)."""

from __future__ import annotations

import django
from celery import Celery
from django.conf import settings

from core.config import default_environment

default_environment("DJANGO_SETTINGS_MODULE", "objstore_site.settings")
if not settings.configured:
    django.setup()

app = Celery("objstore")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["workers"])
