"""The console as an ASGI application, for servers that start it by themselves."""

from __future__ import annotations

from django.core.asgi import get_asgi_application

from core.config import default_environment

default_environment("DJANGO_SETTINGS_MODULE", "objstore_site.settings")
application = get_asgi_application()
