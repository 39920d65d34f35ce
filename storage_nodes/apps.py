"""Django's handle on this app."""

from django.apps import AppConfig


class StorageNodesConfig(AppConfig):
    name = "storage_nodes"
    verbose_name = "Storage nodes"
    default_auto_field = "django.db.models.BigAutoField"
