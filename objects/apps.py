"""The Django application `objects`."""

from django.apps import AppConfig


class ObjectsConfig(AppConfig):
    """Versions, uploads and their verbs."""

    name = "objects"
    default_auto_field = "django.db.models.BigAutoField"
