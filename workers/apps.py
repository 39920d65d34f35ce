"""The Django application `workers`: no tables, only activities."""

from django.apps import AppConfig


class WorkersConfig(AppConfig):
    """Background activities."""

    name = "workers"
