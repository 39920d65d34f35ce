"""What a holder of a descriptor owes before it counts a copy, by thread and by ring."""

import errno
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from core.errors import DriveFenced, DriveFull, ShardMissing
from core.ring import Ring
from storage_nodes.shard_name import ShardName
from storage_nodes.stores.base import ShardStore
from tests.support.disks import TestDisk
from tests.support.nodes import RunningNode, opened

pytestmark = pytest.mark.cluster


@pytest.fixture(params=["thread", "ring"])
async def ring(request: pytest.FixtureRequest) -> AsyncIterator[Ring | None]:
    """How durable writes go."""
    made = Ring.open() if request.param == "ring" else None
    if request.param == "ring" and made is None:
        pytest.skip("this kernel or sandbox gives no io_uring")
    yield made
    if made is not None:
        made.close()


def step(ring: Ring | None) -> str:
    """What a durable write in one call is called on the way it goes."""
    return "write_durably" if ring is None else "write_durably_by"


def called(disk: TestDisk) -> list[str]:
    return [entry.split()[0] for entry in disk.trace]


async def is_fenced(store: ShardStore) -> None:
    """The node itself says so, to anybody."""
    with pytest.raises(DriveFenced):
        await store.create(ShardName(uuid4(), 1, 0), purpose="shard")


async def test_a_removed_pack_does_not_count_as_durable(
    shared: RunningNode, name: ShardName, ring: Ring | None
) -> None:
    async with opened(shared, ring=ring) as store:
        file = await store.create(name, purpose="pack", header=b"head")
        (shared.paths[0] / name.path).unlink()

        with pytest.raises(ShardMissing, match="removed"):
            await file.write(4, [bytearray(b"more")], sync=True)


async def test_what_is_appended_to_a_durable_file_is_written_durably_in_one_call(
    shared: RunningNode, name: ShardName, ring: Ring | None
) -> None:
    disk = TestDisk()
    async with opened(shared, 0, disk, ring) as store:
        file = await store.create(name, purpose="pack", header=b"head")
        await file.write(4, [bytearray(b"more")], sync=True)
        await file.write(8, [bytearray(b"and"), bytearray(b" more")], sync=True)

        assert called(disk) == [step(ring)] * 2
        assert await (await store.open(name)).read(0, 16) == b"headmoreand more"


async def test_what_a_ring_cannot_write_past_the_cache_a_thread_writes(
    shared: RunningNode, name: ShardName, ring: Ring | None
) -> None:
    async with opened(shared, ring=ring) as store:
        file = await store.create(name, purpose="pack", header=b"head", uncached=True)
        await file.write(4, [bytearray(b"odd")], sync=True)
        await file.write(7, [b"read-only"], sync=True)

        assert await (await store.open(name)).read(0, 16) == b"headoddread-only"


async def test_only_durable_writes_go_by_ring_and_a_sync_covers_what_was_not(
    shared: RunningNode, name: ShardName, ring: Ring | None
) -> None:
    disk = TestDisk()
    async with opened(shared, 0, disk, ring) as store:
        file = await store.create(name, purpose="pack", header=b"head")
        await file.write(4, [bytearray(b"more")])
        await file.write(8, [bytearray(b"last")], sync=True)

    assert called(disk) == ["write", "write", "fdatasync"]


async def test_a_draft_is_synced_whole_because_its_header_was_not(
    shared: RunningNode, name: ShardName
) -> None:
    disk = TestDisk()
    async with opened(shared, 0, disk) as store:
        file = await store.create(name, purpose="shard", header=b"head")
        await file.write(4, [b"more"], sync=True)

    assert called(disk) == ["write", "fdatasync"]


async def test_a_failed_sync_fences_the_drive_at_its_node(
    shared: RunningNode, name: ShardName
) -> None:
    disk = TestDisk()
    async with opened(shared, 1, disk) as store, opened(shared, 1) as other:
        file = await store.create(name, purpose="pack", header=b"head")
        await file.write(4, [b"unsynced"])
        disk.fail("fdatasync", errno.EIO)
        with pytest.raises(DriveFenced):
            await file.write(4, [b"more"], sync=True)
        disk.faults.clear()

        await is_fenced(other)
        with pytest.raises(ShardMissing, match="closed"):
            await file.sync()


async def test_a_failed_durable_write_fences_the_drive_at_its_node(
    shared: RunningNode, name: ShardName, ring: Ring | None
) -> None:
    disk = TestDisk()
    drive = 6 if ring is None else 7
    async with opened(shared, drive, disk, ring) as store, opened(shared, drive) as other:
        file = await store.create(name, purpose="pack", header=b"head")
        disk.fail(step(ring), errno.EIO)
        with pytest.raises(DriveFenced):
            await file.write(4, [bytearray(b"more")], sync=True)
        disk.faults.clear()

        await is_fenced(other)
        with pytest.raises(ShardMissing, match="closed"):
            await file.sync()


async def test_a_failed_write_fences_the_drive(shared: RunningNode, name: ShardName) -> None:
    disk = TestDisk()
    async with opened(shared, 2, disk) as store:
        file = await store.create(name, purpose="shard")
        disk.fail("write", errno.EIO)
        with pytest.raises(DriveFenced):
            await file.write(0, [bytearray(b"bytes")])

        await is_fenced(store)


async def test_a_fsync_without_space_fences_the_drive(shared: RunningNode, name: ShardName) -> None:
    disk = TestDisk()
    async with opened(shared, 3, disk) as store:
        file = await store.create(name, purpose="shard")
        disk.fail("fdatasync", errno.ENOSPC)
        with pytest.raises(DriveFenced):
            await file.sync()

        await is_fenced(store)


async def test_a_durable_write_without_space_fences_nothing(
    shared: RunningNode, name: ShardName, ring: Ring | None
) -> None:
    disk = TestDisk()
    async with opened(shared, 0, disk, ring) as store:
        file = await store.create(name, purpose="pack", header=b"head")
        disk.fail(step(ring), errno.ENOSPC)
        with pytest.raises(DriveFull):
            await file.write(4, [bytearray(b"more")], sync=True)
        disk.faults.clear()

        await (await store.create(name, purpose="shard")).abandon()


async def test_a_write_without_space_fences_nothing(shared: RunningNode, name: ShardName) -> None:
    disk = TestDisk()
    async with opened(shared, 0, disk) as store:
        file = await store.create(name, purpose="shard")
        disk.fail("write", errno.ENOSPC)
        with pytest.raises(DriveFull):
            await file.write(0, [b"bytes"])
        disk.faults.clear()

        await (await store.create(name, purpose="shard")).abandon()


async def test_a_fence_stops_every_other_writer_before_it_counts(
    shared: RunningNode, name: ShardName, ring: Ring | None
) -> None:
    drive = 4 if ring is None else 5
    async with opened(shared, drive, ring=ring) as one, opened(shared, drive) as other:
        file = await one.create(name, purpose="pack", header=b"head")
        await other.report_error(name, errno.EIO)

        with pytest.raises(DriveFenced):
            await file.write(4, [bytearray(b"more")], sync=True)


async def test_a_published_shard_was_synced_by_its_writer_too(
    shared: RunningNode, name: ShardName
) -> None:
    disk = TestDisk()
    async with opened(shared, 0, disk) as store:
        file = await store.create(name, purpose="shard")
        await file.write(0, [b"bytes"])
        await file.publish()

    assert called(disk) == ["write", "fdatasync"]
