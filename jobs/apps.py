"""The Django application `jobs`."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Work owed."""

    name = "jobs"
    default_auto_field = "django.db.models.BigAutoField"
