"""A clock that moves only when told, a database without a cluster, and nodes that run."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from core import clock
from storage_nodes.shard_name import ShardName
from tests.support.clock import FakeClock
from tests.support.nodes import RunningNode, running_node


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


@pytest.fixture(scope="module")
def shared() -> Iterator[RunningNode]:
    """A node whose drive 0 stays healthy; drives 1.. are each one test's."""
    with running_node(drives=9) as node:
        yield node


@pytest.fixture
def own() -> Iterator[RunningNode]:
    """A node of one drive, for this test alone."""
    with running_node() as node:
        yield node


@pytest.fixture
def name() -> ShardName:
    """A shard nobody has stored yet."""
    return ShardName(uuid4(), 1, 0)
