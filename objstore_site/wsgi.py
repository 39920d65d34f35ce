"""The console as a WSGI application, for servers that start it by themselves."""

from __future__ import annotations

from django.core.wsgi import get_wsgi_application

from core.config import default_environment

default_environment("DJANGO_SETTINGS_MODULE", "objstore_site.settings")
application = get_wsgi_application()
