"""`manage.py dispatch`: takes due jobs to Celery and watches over nodes and drives until told
to stop.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand

from core import logs
from core.config import config
from objstore_site.celery import app
from storage_nodes import health
from workers import dispatcher


class Command(BaseCommand):
    """Run the dispatcher and the health loop. Any number of these may run."""

    help = "Dispatch due jobs and watch over nodes and drives"
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        # Jobs are published through the application these families are routed by.
        app.set_current()
        logs.set_up("dispatcher", config().logs.level)
        stop = threading.Event()

        def end(signum: int, frame: FrameType | None) -> None:
            stop.set()

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        watching = threading.Thread(target=health.run, args=(stop,), name="health", daemon=True)
        watching.start()
        dispatcher.run(stop)
        watching.join(timeout=10)
