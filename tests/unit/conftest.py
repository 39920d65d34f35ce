"""An operator in the admin pages."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from django.test import Client


@pytest.fixture
def operator(db: None) -> Client:
    """Logged in, and allowed everything."""
    # A conftest may be loaded before Django is set up, and models need that.
    models = importlib.import_module("django.contrib.auth.models")
    client = importlib.import_module("django.test").Client()
    client.force_login(models.User.objects.create_superuser("operator"))
    return client
