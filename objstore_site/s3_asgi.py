"""The gateway as an ASGI application: Django's registry first, then the S3 door that needs it."""

from __future__ import annotations

import importlib

import django

from core.config import default_environment

default_environment("DJANGO_SETTINGS_MODULE", "objstore_site.settings")
django.setup()

# By name, because models cannot be imported before the registry is filled.
app = importlib.import_module("s3.application").app
