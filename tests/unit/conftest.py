"""An operator in the admin pages, and failpoints that end with their test."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from core import failpoints

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


@pytest.fixture
def disarmed() -> Iterator[None]:
    """What the test arms is armed no longer when it ends."""
    yield
    failpoints.arm("")
