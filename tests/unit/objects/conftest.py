"""A namespace per test: a tenant and a bucket of its own in the module's database."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.namespace import Namespace, Stories


@pytest.fixture
async def space(module_database: str) -> AsyncIterator[Namespace]:
    async with _namespaces().namespace() as made:
        yield made


@pytest.fixture
async def versioned(module_database: str) -> AsyncIterator[Namespace]:
    async with _namespaces().namespace("Enabled") as made:
        yield made


@pytest.fixture
def small_parts(space: Namespace) -> Namespace:
    """Parts of any size will do: the bound has a test of its own."""
    limits = replace(space.store.config.limits, part_min_bytes=1)
    space.store.config = replace(space.store.config, limits=limits)
    return space


@pytest.fixture(scope="module")
def stories(module_database: str) -> Iterator[Stories]:
    """For properties: one store, a bucket per example."""
    made = _namespaces().Stories()
    yield made
    made.close()


def _namespaces():  # type: ignore[no-untyped-def]
    """A conftest may be loaded before Django is set up, and models need that."""
    return importlib.import_module("tests.support.namespace")
