"""The Django application `objstore_site`: it only brings the system checks."""

from __future__ import annotations

from django.apps import AppConfig


class SiteConfig(AppConfig):
    """The roof."""

    name = "objstore_site"
    verbose_name = "objstore"
