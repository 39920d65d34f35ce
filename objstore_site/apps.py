"""The Django application `objstore_site`: commands and system checks."""

from __future__ import annotations

import importlib

from django.apps import AppConfig


class SiteConfig(AppConfig):
    """The roof."""

    name = "objstore_site"
    verbose_name = "objstore"

    def ready(self) -> None:
        """Checks register themselves when their module loads."""
        importlib.import_module("objstore_site.checks")
