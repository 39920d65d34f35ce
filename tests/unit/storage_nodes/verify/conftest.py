"""A store to be verified."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.verifying import Stock


@pytest.fixture
def stock(database: str) -> Iterator[Stock]:
    # A conftest may be loaded before Django is set up, and models need that.
    with importlib.import_module("tests.support.verifying").stocked() as made:
        yield made
