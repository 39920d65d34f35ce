"""The Django application `buckets`."""

from django.apps import AppConfig


class BucketsConfig(AppConfig):
    """Buckets and their rules."""

    name = "buckets"
    default_auto_field = "django.db.models.BigAutoField"
