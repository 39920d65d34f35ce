"""A database that is copied to drives, and an empty one to rebuild it in."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import session

if TYPE_CHECKING:
    from tests.support.rebuilt import Source


@pytest.fixture
def source(django_db_blocker: session.Blocker, tmp_path: Path) -> Iterator[Source]:
    # A conftest may be loaded before Django is set up, and models need that.
    rebuilt = importlib.import_module("tests.support.rebuilt")
    with rebuilt.source_and_target(django_db_blocker, tmp_path) as made:
        yield made
