"""Drives through their node's socket: descriptors, answers, and what becomes of files."""

import asyncio
import errno
import gc
import os
from contextlib import suppress
from uuid import uuid4

import pytest

from core.errors import (
    CapabilityRefused,
    DriveFenced,
    DriveGone,
    NodeUnreachable,
)
from storage_nodes.shard_name import ShardName
from storage_nodes.stores.local import LocalShardFile, LocalShardStore
from tests.support.nodes import RunningNode, eventually, opened
from tests.support.shard_stores import content, publish

pytestmark = pytest.mark.cluster


def open_files(pid: int, node: RunningNode) -> int:
    """Shard files a process has open, named or not."""
    folder = f"/proc/{pid}/fd"
    found = 0
    for fd in os.listdir(folder):
        with suppress(FileNotFoundError):
            found += os.readlink(f"{folder}/{fd}").startswith(f"{node.paths[0]}/shards/")
    return found


async def test_readers_go_on_reading_a_fenced_drive(shared: RunningNode, name: ShardName) -> None:
    async with opened(shared, 5) as store:
        file = await store.create(name, purpose="pack", header=b"head")
        reader = await store.open(name)
        await store.report_error(name, errno.EIO)

        assert await reader.read(0, 4) == b"head"
        assert await (await store.open(name)).read(0, 4) == b"head"
        await file.close()


@pytest.mark.parametrize("door", ["local", "http"])
async def test_a_closed_pack_gives_back_the_room_it_did_not_need(
    shared: RunningNode, name: ShardName, door: str
) -> None:
    store = getattr(shared, door)()
    file = await store.create(name, purpose="pack", header=b"head", size_bytes=1 << 20)
    path = shared.paths[0] / name.path
    assert path.stat().st_blocks * 512 >= 1 << 20
    await file.close()

    async def is_trimmed() -> bool:
        return path.stat().st_blocks * 512 < 1 << 20

    await eventually(is_trimmed, True)
    assert path.read_bytes() == b"head"
    await store.close()


async def test_a_reader_cannot_write(shared: RunningNode, name: ShardName) -> None:
    async with opened(shared) as store:
        await store.create(name, purpose="pack", header=b"head")
        link = await store._links.quick()
        _, fd = await link.ask("open", name, {}, timeout_s=60)
        assert fd is not None
        with pytest.raises(OSError):
            os.write(fd, b"x")
        os.close(fd)


async def test_many_requests_at_once_get_their_own_answers(shared: RunningNode) -> None:
    names = [ShardName(uuid4(), 1, index) for index in range(60)]
    async with opened(shared) as store:

        async def roundtrip(name: ShardName) -> bytes:
            await publish(store, name, str(name).encode())
            return await content(store, name)

        found = await asyncio.gather(*map(roundtrip, names))

    assert found == [str(name).encode() for name in names]


async def test_more_requests_than_the_socket_holds_are_all_answered(
    shared: RunningNode, name: ShardName
) -> None:
    async with opened(shared) as store:
        file = await store.create(name, purpose="pack", header=b"head")
        readers = await asyncio.gather(*(store.open(name) for _ in range(800)))

        assert {reader.read_now(0, 4) for reader in readers} <= {b"head", None}
        await file.close()


async def test_a_creation_given_up_leaves_neither_file_nor_descriptor(
    own: RunningNode,
) -> None:
    async with opened(own) as store:
        tasks = [
            asyncio.create_task(store.create(ShardName(uuid4(), 1, 0), purpose="shard"))
            for _ in range(20)
        ]
        for turn, task in enumerate(tasks):
            for _ in range(turn):
                await asyncio.sleep(0)
            task.cancel()
        for file in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(file, LocalShardFile):
                await file.abandon()

        async def left() -> tuple[int, int]:
            gc.collect()
            return open_files(os.getpid(), own), open_files(own.pid, own)

        await eventually(left, (0, 0))


async def test_an_operation_nobody_knows_is_refused(shared: RunningNode, name: ShardName) -> None:
    async with opened(shared) as store:
        link = await store._links.quick()
        with pytest.raises(Exception, match="NotImplemented"):
            await link.ask("format", name, {}, timeout_s=60)

        assert await store.stat(name) is None


async def test_a_client_without_the_key_gets_nothing(shared: RunningNode, name: ShardName) -> None:
    store = LocalShardStore(shared.drives[0], socket=shared.socket, secret=bytes(32), timeout_s=60)
    with pytest.raises(CapabilityRefused):
        await store.stat(name)
    await store.close()


async def test_a_drive_the_node_does_not_have_is_gone(shared: RunningNode, name: ShardName) -> None:
    store = LocalShardStore(uuid4(), socket=shared.socket, secret=shared.key.secret, timeout_s=60)
    with pytest.raises(DriveGone):
        await store.stat(name)
    await store.close()


async def test_no_node_no_drive(own: RunningNode, name: ShardName) -> None:
    async with opened(own) as store:
        file = await store.create(name, purpose="pack", header=b"head")
        own.kill()

        with pytest.raises(NodeUnreachable):
            await file.write(4, [b"more"], sync=True)
        with pytest.raises(NodeUnreachable):
            await store.create(name, purpose="shard")


async def test_after_a_restart_of_the_node_old_files_are_void_and_the_store_goes_on(
    own: RunningNode, name: ShardName
) -> None:
    async with opened(own) as store:
        file = await store.create(name, purpose="pack", header=b"head")
        own.kill()
        own.start()

        with pytest.raises(NodeUnreachable):
            await file.write(4, [b"more"], sync=True)
        reader = await store.open(name)
        assert await reader.read(0, 10) == b"head"


async def test_a_drive_that_vanishes_and_comes_back_is_used_again_with_new_files(
    own: RunningNode, name: ShardName
) -> None:
    async with opened(own) as store:
        file = await store.create(name, purpose="pack", header=b"head")
        reader = await store.open(name)
        elsewhere = own.home / "elsewhere"
        own.paths[0].rename(elsewhere)

        await eventually(lambda: store.create(name, purpose="shard"), DriveGone)
        with pytest.raises(DriveGone):
            await file.write(4, [b"more"], sync=True)
        with pytest.raises(DriveGone):
            await reader.read(0, 4)

        elsewhere.rename(own.paths[0])
        await eventually(lambda: content(store, name), b"head")
        with pytest.raises((DriveGone, DriveFenced)):
            await file.write(4, [b"more"], sync=True)
