"""A drive of this host whose device hangs, under a writer who does not wait for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from uuid import uuid4

import pytest

from core.errors import NodeUnreachable
from storage_nodes.shard_name import ShardName
from storage_nodes.stores.local import LocalShardStore
from tests.support.hanging import HangingDisk, hold_reads
from tests.support.nodes import RunningNode, eventually, opened, running_node
from tests.support.shard_stores import content, publish

pytestmark = pytest.mark.cluster

SOON_S = 0.1
WITHIN_S = 10.0
# So much is never read without a thread.
LARGE = bytes(1 << 20)


@pytest.fixture(scope="module")
def node() -> Iterator[RunningNode]:
    with running_node() as running:
        yield running


@pytest.fixture
def name() -> ShardName:
    return ShardName(uuid4(), 1, 0)


def writers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "drive write"}


async def is_taken_up_again(store: LocalShardStore) -> None:
    async def silent() -> bool:
        return store.is_silent

    await eventually(silent, answer=False)
    name = ShardName(uuid4(), 1, 0)
    await publish(store, name, b"as before")
    assert await content(store, name) == b"as before"


@pytest.mark.parametrize("step", ["write", "sync", "publish"])
async def test_what_does_not_return_counts_as_a_drive_out_of_reach(
    node: RunningNode, name: ShardName, step: str
) -> None:
    disk = HangingDisk()
    async with opened(node, disk=disk, patience_s=SOON_S) as store, asyncio.timeout(WITHIN_S):
        file = await store.create(name, purpose="shard")
        if step != "write":
            await file.write(0, [b"bytes"])

        with disk.hung(), pytest.raises(NodeUnreachable, match="does not answer"):
            await (file.write(0, [b"bytes"]) if step == "write" else getattr(file, step)())

        assert await store.stat(name) is None
        await is_taken_up_again(store)


async def test_a_file_that_was_given_up_is_never_published_nor_kept(
    node: RunningNode, name: ShardName
) -> None:
    disk = HangingDisk()
    async with opened(node, disk=disk, patience_s=SOON_S) as store:
        file = await store.create(name, purpose="shard")
        await file.write(0, [b"bytes"])
        with disk.hung(), pytest.raises(NodeUnreachable):
            await file.publish()
        await file.abandon()
        await is_taken_up_again(store)

        assert await store.stat(name) is None
        with pytest.raises(Exception, match="closed"):
            await file.publish()


async def test_nothing_piles_up_on_a_drive_that_hangs(node: RunningNode, name: ShardName) -> None:
    disk, before = HangingDisk(), writers()
    async with opened(node, disk=disk, patience_s=SOON_S) as store, asyncio.timeout(WITHIN_S):
        file = await store.create(name, purpose="shard")
        other = await store.create(ShardName(uuid4(), 1, 0), purpose="shard")
        with disk.hung():
            with pytest.raises(NodeUnreachable):
                await file.write(0, [b"bytes"])
            with pytest.raises(NodeUnreachable):
                await other.write(0, [b"bytes"])
            for _ in range(50):
                with pytest.raises(NodeUnreachable):
                    await store.create(ShardName(uuid4(), 1, 0), purpose="shard")
            assert store.is_silent
            assert disk.met == 1
            assert len(writers() - before) == 1
        await is_taken_up_again(store)


async def test_a_read_that_does_not_return_is_given_up(node: RunningNode, name: ShardName) -> None:
    gate = threading.Event()
    async with opened(node, patience_s=SOON_S) as store, asyncio.timeout(WITHIN_S):
        await publish(store, name, LARGE)
        reader = await store.open(name)
        await hold_reads(store, gate)

        with pytest.raises(NodeUnreachable, match="does not answer"):
            await reader.read(0, len(LARGE))

        assert store.is_silent
        gate.set()
        await is_taken_up_again(store)
        assert await reader.read(0, len(LARGE)) == LARGE


async def test_writes_of_clients_are_waited_for(node: RunningNode, name: ShardName) -> None:
    disk = HangingDisk()
    async with opened(node, disk=disk) as store:
        file = await store.create(name, purpose="shard")
        with disk.hung():
            writing = asyncio.create_task(file.write(0, [b"bytes"]))
            done, _ = await asyncio.wait({writing}, timeout=5 * SOON_S)
            assert not done
            assert disk.met == 1
        await writing
        await file.publish()
        assert await content(store, name) == b"bytes"
