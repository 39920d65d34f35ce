"""Every ShardStore on a drive of its kind: in memory, over HTTP, over descriptors of a node."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from storage_nodes.shard_name import ShardName
from storage_nodes.stores.base import ShardStore
from storage_nodes.stores.memory import MemoryShardStore
from tests.support.nodes import RunningNode, running_node


@pytest.fixture(scope="module")
def node() -> Iterator[RunningNode]:
    with running_node(drives=3) as running:
        yield running


@pytest.fixture(params=["memory", "http", "local"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[ShardStore]:
    made = make_store(request, drive=0)
    yield made
    await made.close()


@pytest.fixture(params=[("memory", 0), ("http", 1), ("local", 2)], ids=lambda param: param[0])
async def spare(request: pytest.FixtureRequest) -> AsyncIterator[ShardStore]:
    """A drive no other test uses: what happens to it stays."""
    made = make_store(request, drive=request.param[1])
    yield made
    await made.close()


def make_store(request: pytest.FixtureRequest, drive: int) -> ShardStore:
    kind = request.param if isinstance(request.param, str) else request.param[0]
    if kind == "memory":
        return MemoryShardStore()
    node = request.getfixturevalue("node")
    return node.http(drive) if kind == "http" else node.local(drive)


@pytest.fixture
def name() -> ShardName:
    return ShardName(uuid4(), 3, 5)
