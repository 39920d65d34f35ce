"""The node's HTTP door, in this process: handles, limits, and what a capability does not open."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from aiohttp.test_utils import TestServer

from core.errors import (
    CapabilityRefused,
    DriveGone,
    InvalidArgument,
    ShardMissing,
    StoreError,
)
from storage_nodes.node.http_door import HttpDoor
from storage_nodes.node.keyfile import NodeKey
from storage_nodes.shard_name import ShardName
from storage_nodes.stores.http import HttpNode, HttpShardStore
from tests.support.clock import FakeClock
from tests.support.disks import DriveOnDisk

NAME = ShardName(UUID(int=3), 1, 0)
OTHER = ShardName(UUID(int=4), 1, 0)
HANDLE = "ab" * 16


@pytest.fixture
def on_disk(tmp_path: Path, time: FakeClock) -> Iterator[DriveOnDisk]:
    made = DriveOnDisk(tmp_path)
    yield made
    made.close()


@pytest.fixture
def door(on_disk: DriveOnDisk) -> HttpDoor:
    key = NodeKey(cluster=on_disk.cluster, secret=bytes(32))
    return HttpDoor("node-1", on_disk.slots, key)


@pytest.fixture
async def node(door: HttpDoor) -> AsyncIterator[HttpNode]:
    server = TestServer(door.application())
    await server.start_server()
    made = HttpNode(str(server.make_url("")), secret=bytes(32), timeout_s=60)
    yield made
    await made.close()
    await server.close()


@pytest.fixture
def store(node: HttpNode, on_disk: DriveOnDisk) -> HttpShardStore:
    return HttpShardStore(on_disk.identity.drive, node)


async def create(store: HttpShardStore, name: ShardName = NAME, handle: str = HANDLE) -> None:
    query = {"name": str(name), "purpose": "pack"}
    await store.ask("POST", f"files/{handle}", "create", name, query, b"head")


async def test_a_repeated_create_is_recognised_by_its_handle(store: HttpShardStore) -> None:
    await create(store)
    await create(store)

    assert [name async for name in store.names()] == [NAME]


async def test_a_file_nobody_asks_for_is_dropped(
    store: HttpShardStore, door: HttpDoor, time: FakeClock
) -> None:
    used = await store.create(NAME, purpose="shard")
    idle = await store.create(OTHER, purpose="shard")
    time.advance(400)
    await used.write(0, [b"bytes"])
    time.advance(400)
    await door.forget_idle_files()

    await used.publish()
    with pytest.raises(ShardMissing):
        await idle.publish()


async def test_a_drive_that_left_does_not_stop_the_forgetting(
    store: HttpShardStore, door: HttpDoor, on_disk: DriveOnDisk, time: FakeClock
) -> None:
    await store.create(NAME, purpose="shard")
    on_disk.path.rename(on_disk.path.with_name("away"))
    on_disk.slot.look()
    time.advance(700)

    await door.forget_idle_files()


async def test_a_large_write_arrives_in_pieces_and_whole(store: HttpShardStore) -> None:
    content = bytes(range(256)) * (40 << 10) * 2
    file = await store.create(NAME, purpose="shard")
    await file.write(0, [content], sync=True)
    await file.publish()

    reader = await store.open(NAME)
    assert reader.size == len(content)
    assert await reader.read(0, len(content)) == content


async def test_a_handle_is_good_for_its_own_shard_only(store: HttpShardStore) -> None:
    await create(store)
    with pytest.raises(ShardMissing):
        await store.ask("POST", f"files/{HANDLE}/sync", "sync", OTHER, {"name": str(OTHER)})


@pytest.mark.parametrize("operation", ["stat", "trash", "write"])
async def test_a_capability_for_one_operation_opens_no_other(
    store: HttpShardStore, operation: str
) -> None:
    await create(store)
    query = {"offset": "0", "length": "4"}
    with pytest.raises(CapabilityRefused):
        await store.ask("GET", f"shards/{NAME}", operation, NAME, query)


async def test_a_capability_for_one_shard_opens_no_other(store: HttpShardStore) -> None:
    await create(store)
    with pytest.raises(CapabilityRefused):
        await store.ask("POST", f"shards/{NAME}/trash", "trash", OTHER, None)

    assert await store.stat(NAME) is not None


async def test_a_drive_the_node_does_not_have_is_gone(node: HttpNode) -> None:
    with pytest.raises(DriveGone):
        await HttpShardStore(UUID(int=77), node).stat(NAME)


@pytest.mark.parametrize(
    "query",
    [
        {"offset": "-1", "length": "1"},
        {"offset": "0", "length": "-1"},
        {"offset": "0", "length": str(1 << 30)},
        {"offset": "x", "length": "1"},
        {"offset": "0"},
    ],
)
async def test_a_read_that_makes_no_sense_is_refused(
    store: HttpShardStore, query: dict[str, str]
) -> None:
    await create(store)
    with pytest.raises(InvalidArgument):
        await store.ask("GET", f"shards/{NAME}", "read", NAME, query)


@pytest.mark.parametrize("handle", ["AB" * 16, "..", "0" * 31, "0" * 33])
async def test_a_handle_that_is_none_is_refused(store: HttpShardStore, handle: str) -> None:
    with pytest.raises(StoreError):
        await create(store, handle=handle)

    assert [name async for name in store.names()] == []


async def test_a_body_larger_than_allowed_is_refused(store: HttpShardStore) -> None:
    await create(store)
    query = {"name": str(NAME), "offset": "4"}
    with pytest.raises(StoreError):
        await store.ask("PUT", f"files/{HANDLE}", "write", NAME, query, bytes((16 << 20) + 1))

    found = await store.stat(NAME)
    assert found is not None
    assert found.size_bytes == 4


async def test_an_end_that_makes_no_sense_leaves_the_file_open(store: HttpShardStore) -> None:
    await create(store)
    file = {"name": str(NAME)}
    with pytest.raises(InvalidArgument):
        await store.ask("DELETE", f"files/{HANDLE}", "abandon", NAME, {**file, "size": "x"})

    await store.ask("POST", f"files/{HANDLE}/sync", "sync", NAME, file)
