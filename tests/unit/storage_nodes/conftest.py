"""A clock that moves only when told, and a database without a cluster."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from core import clock
from tests.support.clock import FakeClock


@pytest.fixture
def time() -> Iterator[FakeClock]:
    with clock.use(FakeClock()) as fake:
        assert isinstance(fake, FakeClock)
        yield fake


@pytest.fixture
def rows(module_database: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """The module's database, without nodes, drives and segments."""
    with psycopg.connect(module_database, autocommit=True) as connection:
        for table in ("segment_shard", "segment", "job", "drive", "node", "zone"):
            connection.execute(sql.SQL("delete from {}").format(sql.Identifier(table)))
        yield connection
