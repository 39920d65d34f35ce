"""One suite over every ShardStore: in memory, over HTTP, over descriptors from a real node.

What differs between them (durability, speed) is tested elsewhere; what callers may rely on is here.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from core.errors import DriveFenced, ShardExists, ShardMissing
from storage_nodes.shard_name import FileName, JournalName, ShardName
from storage_nodes.stores.base import ShardStore
from storage_nodes.stores.memory import MemoryShardStore
from tests.support.nodes import RunningNode, running_node

BLOCK = bytes(range(256)) * 16
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


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


async def publish(store: ShardStore, name: FileName, *pieces: bytes) -> None:
    file = await store.create(name, purpose="shard")
    await file.write(0, pieces)
    await file.publish()


async def content(store: ShardStore, name: FileName) -> bytes:
    reader = await store.open(name)
    try:
        return await reader.read(0, 1 << 20)
    finally:
        await reader.close()


async def test_a_published_shard_reads_back(store: ShardStore, name: ShardName) -> None:
    await publish(store, name, BLOCK, b"tail")

    assert await content(store, name) == BLOCK + b"tail"


async def test_a_shard_has_no_name_before_it_is_published(
    store: ShardStore, name: ShardName
) -> None:
    file = await store.create(name, purpose="shard")
    await file.write(0, [BLOCK], sync=True)

    assert await store.stat(name) is None
    with pytest.raises(ShardMissing):
        await store.open(name)
    await file.abandon()


async def test_an_abandoned_shard_leaves_nothing(store: ShardStore, name: ShardName) -> None:
    file = await store.create(name, purpose="shard")
    await file.write(0, [BLOCK])
    await file.abandon()

    assert await store.stat(name) is None


async def test_closing_an_unpublished_shard_abandons_it(store: ShardStore, name: ShardName) -> None:
    file = await store.create(name, purpose="shard")
    await file.write(0, [BLOCK])
    await file.close()

    assert await store.stat(name) is None


async def test_nothing_is_written_to_a_closed_file(store: ShardStore, name: ShardName) -> None:
    file = await store.create(name, purpose="shard")
    await file.abandon()

    with pytest.raises(ShardMissing):
        await file.write(0, [BLOCK])
    with pytest.raises(ShardMissing):
        await file.sync()


async def test_a_header_lies_at_the_start(store: ShardStore, name: ShardName) -> None:
    file = await store.create(name, purpose="shard", size_bytes=1 << 20, header=b"head")
    await file.write(4, [b"body"])
    await file.publish()

    assert await content(store, name) == b"headbody"


async def test_room_set_aside_is_not_length(store: ShardStore, name: ShardName) -> None:
    file = await store.create(name, purpose="shard", size_bytes=1 << 20)
    await file.write(0, [b"x"])
    await file.publish()

    found = await store.stat(name)
    assert found is not None
    assert found.size_bytes == 1


async def test_a_pack_has_its_name_and_header_from_the_start(
    store: ShardStore, name: ShardName
) -> None:
    file = await store.create(name, purpose="pack", header=BLOCK)

    assert await content(store, name) == BLOCK
    await file.close()


async def test_what_is_appended_to_a_pack_is_read_while_it_is_open(
    store: ShardStore, name: ShardName
) -> None:
    file = await store.create(name, purpose="pack", header=BLOCK)
    reader = await store.open(name)
    await file.write(len(BLOCK), [b"one", b"two"], sync=True)

    assert await reader.read(len(BLOCK), 6) == b"onetwo"
    assert await reader.read(len(BLOCK), 100) == b"onetwo"
    await reader.close()
    await file.close()


async def test_a_closed_pack_keeps_its_bytes(store: ShardStore, name: ShardName) -> None:
    file = await store.create(name, purpose="pack", header=b"head")
    await file.write(4, [b"more"], sync=True)
    await file.close()

    assert await content(store, name) == b"headmore"


async def test_abandoning_a_pack_keeps_its_bytes(store: ShardStore, name: ShardName) -> None:
    file = await store.create(name, purpose="pack", header=b"head")
    await file.abandon()

    assert await content(store, name) == b"head"


async def test_publishing_a_pack_again_changes_nothing(store: ShardStore, name: ShardName) -> None:
    file = await store.create(name, purpose="pack", header=b"head")
    await file.publish()

    assert await content(store, name) == b"head"


async def test_a_second_pack_of_one_name_is_refused(store: ShardStore, name: ShardName) -> None:
    file = await store.create(name, purpose="pack", header=b"first")
    with pytest.raises(ShardExists):
        await store.create(name, purpose="pack", header=b"second")

    assert await content(store, name) == b"first"
    await file.close()


async def test_of_two_shards_of_one_name_the_first_stays(
    store: ShardStore, name: ShardName
) -> None:
    await publish(store, name, b"first")
    await publish(store, name, b"second")

    assert await content(store, name) == b"first"


async def replace(store: ShardStore, name: FileName, content: bytes) -> None:
    file = await store.create(name, purpose="shard")
    await file.write(0, [content])
    await file.publish(replace=True)


async def test_a_shard_that_replaces_another_has_its_name_and_the_other_is_in_the_trash(
    store: ShardStore, name: ShardName
) -> None:
    await publish(store, name, BLOCK)
    await store.unlink_trash(datetime.now(UTC) + timedelta(days=1))
    await replace(store, name, b"second")

    assert await content(store, name) == b"second"
    found = await store.stat(name)
    assert found is not None
    assert not found.trashed
    assert [each async for each in store.names()].count(name) == 1
    assert await store.unlink_trash(datetime.now(UTC) + timedelta(days=1)) == 1
    assert await content(store, name) == b"second"


async def test_a_pack_that_is_closed_may_be_replaced_and_again(
    store: ShardStore, name: ShardName
) -> None:
    await (await store.create(name, purpose="pack", header=BLOCK)).close()
    await replace(store, name, b"second")
    await replace(store, name, b"third")

    assert await content(store, name) == b"third"


async def test_an_abandoned_successor_leaves_the_name_as_it_was(
    store: ShardStore, name: ShardName
) -> None:
    await publish(store, name, BLOCK)
    file = await store.create(name, purpose="shard")
    await file.write(0, [b"second"], sync=True)
    await file.abandon()

    assert await content(store, name) == BLOCK


async def test_restoring_takes_no_name_from_a_successor(store: ShardStore, name: ShardName) -> None:
    await publish(store, name, BLOCK)
    await replace(store, name, b"second")

    assert await store.restore(name)
    assert await content(store, name) == b"second"


async def test_of_two_successors_at_once_one_has_the_name(
    store: ShardStore, name: ShardName
) -> None:
    await publish(store, name, b"first")
    files = [await store.create(name, purpose="shard") for _ in range(2)]
    for file in files:
        await file.write(0, [BLOCK])
    await asyncio.gather(*(file.publish(replace=True) for file in files))

    assert await content(store, name) == BLOCK


async def test_a_shard_may_replace_one_that_is_not_there(
    store: ShardStore, name: ShardName
) -> None:
    await replace(store, name, b"first")
    assert await content(store, name) == b"first"
    await store.trash(name)
    await replace(store, name, b"second")

    assert await content(store, name) == b"second"


async def test_a_replaced_shard_is_still_read_by_who_had_it_open(
    store: ShardStore, name: ShardName
) -> None:
    await publish(store, name, BLOCK)
    reader = await store.open(name)
    await replace(store, name, BLOCK)

    assert await reader.read(256, 16) == BLOCK[256:272]
    await reader.close()


async def test_writes_may_come_in_any_order(store: ShardStore, name: ShardName) -> None:
    file = await store.create(name, purpose="shard")
    await file.write(8, [b"later"])
    await file.write(0, [b"earlier-"])
    await file.publish()

    assert await content(store, name) == b"earlier-later"


async def test_a_write_may_be_repeated(store: ShardStore, name: ShardName) -> None:
    file = await store.create(name, purpose="shard")
    await file.write(0, [BLOCK])
    await file.write(0, [BLOCK], sync=True)
    await file.publish()

    assert await content(store, name) == BLOCK


async def test_buffers_of_every_kind_and_number_are_written(
    store: ShardStore, name: ShardName
) -> None:
    pieces = [b"a", bytearray(b"b"), memoryview(b"c")] * 1000
    file = await store.create(name, purpose="shard")
    await file.write(0, pieces)
    await file.publish()

    assert await content(store, name) == b"abc" * 1000


async def test_a_sync_without_bytes_is_allowed(store: ShardStore, name: ShardName) -> None:
    file = await store.create(name, purpose="shard")
    await file.write(0, [], sync=True)
    await file.sync()
    await file.publish()

    assert await content(store, name) == b""


async def test_a_read_beyond_the_end_is_short(store: ShardStore, name: ShardName) -> None:
    await publish(store, name, b"0123456789")
    reader = await store.open(name)

    assert reader.size == 10
    assert await reader.read(8, 10) == b"89"
    assert await reader.read(10, 10) == b""
    assert await reader.read(99, 10) == b""
    await reader.close()


async def test_reading_now_gives_the_bytes_or_nothing(store: ShardStore, name: ShardName) -> None:
    await publish(store, name, BLOCK)
    reader = await store.open(name)

    assert reader.read_now(256, 16) in (BLOCK[256:272], None)
    await reader.close()


async def test_reading_into_place_now_fills_it_or_says_no(
    store: ShardStore, name: ShardName
) -> None:
    await publish(store, name, BLOCK)
    reader = await store.open(name)
    place = bytearray(16)

    if reader.read_into_now(256, memoryview(place)):
        assert place == BLOCK[256:272]
    assert not reader.read_into_now(len(BLOCK) - 8, memoryview(place))
    await reader.close()


async def test_a_reader_may_be_closed_twice(store: ShardStore, name: ShardName) -> None:
    await publish(store, name, BLOCK)
    reader = await store.open(name)
    await reader.close()
    await reader.close()


async def test_a_reader_outlives_the_name(store: ShardStore, name: ShardName) -> None:
    await publish(store, name, BLOCK)
    reader = await store.open(name)
    await store.trash(name)

    try:
        found = await reader.read(0, len(BLOCK))
    except ShardMissing:
        found = BLOCK  # over HTTP each read opens the file: missing is honest, other bytes are not
    assert found == BLOCK
    await reader.close()


async def test_a_shard_nobody_wrote_is_missing(store: ShardStore, name: ShardName) -> None:
    assert await store.stat(name) is None
    with pytest.raises(ShardMissing):
        await store.open(name)


async def test_a_shard_is_named_by_segment_epoch_and_index(
    store: ShardStore, name: ShardName
) -> None:
    await publish(store, name, b"mine")

    assert await store.stat(ShardName(name.segment, name.epoch + 1, name.index)) is None
    assert await store.stat(ShardName(name.segment, name.epoch, name.index + 1)) is None


async def test_a_trashed_shard_is_missing_and_comes_back(
    store: ShardStore, name: ShardName
) -> None:
    await publish(store, name, BLOCK)

    assert await store.trash(name)
    with pytest.raises(ShardMissing):
        await store.open(name)
    trashed = await store.stat(name)
    assert trashed is not None
    assert trashed.trashed

    assert await store.restore(name)
    assert await content(store, name) == BLOCK


async def test_trashing_and_restoring_may_be_repeated(store: ShardStore, name: ShardName) -> None:
    await publish(store, name, BLOCK)

    assert await store.trash(name)
    assert not await store.trash(name)
    assert await store.restore(name)
    assert await store.restore(name)
    assert await content(store, name) == BLOCK


async def test_restoring_what_was_never_there_does_nothing(
    store: ShardStore, name: ShardName
) -> None:
    assert not await store.restore(name)
    assert await store.stat(name) is None


async def test_only_old_trash_is_unlinked(store: ShardStore, name: ShardName) -> None:
    await publish(store, name, BLOCK)
    await store.trash(name)

    assert await store.unlink_trash(LONG_AGO) == 0
    assert await store.stat(name) is not None
    assert await store.unlink_trash(datetime.now(UTC) + timedelta(days=1)) >= 1
    assert await store.stat(name) is None
    assert not await store.restore(name)


async def test_names_lists_what_is_published_and_goes_on_behind_any_of_them(
    store: ShardStore,
) -> None:
    made = {ShardName(UUID(int=number << 40 | number), 1, 0) for number in range(1, 30)}
    for each in made:
        await publish(store, each, b"x")

    listed = [each async for each in store.names()]
    assert made <= set(listed)
    assert len(listed) == len(set(listed))
    behind = [each async for each in store.names(after=listed[10])]
    assert behind == listed[11:]


async def test_names_leaves_out_the_trash(store: ShardStore, name: ShardName) -> None:
    await publish(store, name, BLOCK)
    await store.trash(name)

    assert name not in [each async for each in store.names()]


async def test_a_journal_file_is_kept_like_a_shard_and_is_none(store: ShardStore) -> None:
    name = JournalName(77, 1 << 63, "jrn")
    await publish(store, name, BLOCK, b"tail")

    assert await content(store, name) == BLOCK + b"tail"
    assert name in [each async for each in store.journal_names()]
    assert name not in [each async for each in store.names()]


async def test_journal_files_are_listed_by_number(store: ShardStore) -> None:
    made = [JournalName(1000 + n, 9 - n, "snap" if n == 3 else "jrn") for n in range(6)]
    for each in reversed(made):
        await publish(store, each, b"x")

    listed = [each async for each in store.journal_names()]
    assert [each for each in listed if each.number >= 1000] == made


async def test_a_trashed_journal_file_comes_back(store: ShardStore) -> None:
    name = JournalName(78, 1, "snap")
    await publish(store, name, BLOCK)

    assert await store.trash(name)
    assert name not in [each async for each in store.journal_names()]
    assert await store.restore(name)
    assert await content(store, name) == BLOCK


async def test_space_is_told_without_the_reserve(store: ShardStore) -> None:
    space = await store.space()

    assert 0 < space.free_bytes <= space.size_bytes


async def test_a_reported_error_makes_the_drive_read_only(
    spare: ShardStore, name: ShardName
) -> None:
    await publish(spare, name, BLOCK)
    late = ShardName(uuid4(), 1, 0)
    file = await spare.create(late, purpose="shard")
    await spare.report_error(name, 5)

    assert await content(spare, name) == BLOCK
    with pytest.raises(DriveFenced):
        await file.write(0, [BLOCK], sync=True)
    with pytest.raises(DriveFenced):
        await spare.trash(name)
    with pytest.raises(DriveFenced):
        await spare.create(late, purpose="shard")
