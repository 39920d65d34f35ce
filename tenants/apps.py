"""The Django application `tenants`."""

from django.apps import AppConfig


class TenantsConfig(AppConfig):
    """Who may do what."""

    name = "tenants"
    default_auto_field = "django.db.models.BigAutoField"
