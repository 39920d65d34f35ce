"""Synchronous changes of buckets while the database goes away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import connection

from core.errors import UnknownOutcome

if TYPE_CHECKING:
    from tests.support.namespace import Namespace


def ask(question: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()


async def test_a_change_whose_connection_is_lost_is_unknown(space: Namespace) -> None:
    with pytest.raises(UnknownOutcome):
        await space.store.control(ask, "select pg_terminate_backend(pg_backend_pid())")


async def test_changes_go_on_after_a_lost_connection(space: Namespace) -> None:
    # As many as there are threads, each with a connection of its own.
    for _ in range(4):
        with pytest.raises(UnknownOutcome):
            await space.store.control(ask, "select pg_terminate_backend(pg_backend_pid())")

    assert [await space.store.control(ask, "select 1") for _ in range(4)] == [(1,)] * 4
