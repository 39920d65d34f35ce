"""Drives in memory for background work, over a database of the test's own."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from core import config as configuration

if TYPE_CHECKING:
    from tests.support.drives import MemoryStorage


@pytest.fixture
def drives(database: str) -> Iterator[MemoryStorage]:
    """Drives whose segments are coded when they are not tiny, and whose garbage goes at once."""
    # A conftest may be loaded before Django is set up, and models need that.
    support = importlib.import_module("tests.support.drives")
    with (
        support.installed() as made,
        configuration.override(
            jobs={"grace_s": 0.0, "trash_s": 0.0}, packing={"seal_min_bytes": 64 << 10}
        ),
    ):
        yield made
