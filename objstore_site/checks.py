"""Django system checks of the house: the tables that must be complete."""

from __future__ import annotations

import importlib
from typing import Any

from django.core.checks import CheckMessage, Error, register

from jobs.catalogue import FAMILIES
from workers.registry import HANDLERS


@register(deploy=True)
def every_family_has_a_handler(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """A job nobody can run would wait for ever."""
    # Handlers declare themselves when this loads; a gateway never does, and is spared Celery.
    importlib.import_module("workers.tasks")
    return [
        Error(f"The job family {name} has no handler in workers/.", id="objstore.E001")
        for name in sorted(set(FAMILIES) - set(HANDLERS))
    ]
