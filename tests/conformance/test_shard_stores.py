"""One suite over every ShardStore: in memory, over HTTP, over descriptors from a real node.

What differs between them (durability, speed) is tested elsewhere; what callers may rely on is here:
shards and packs written and read. How names are replaced, trashed and listed is told beside it.
"""

from uuid import uuid4

import pytest

from core.errors import DriveFenced, ShardExists, ShardMissing
from storage_nodes.shard_name import ShardName
from storage_nodes.stores.base import ShardStore
from tests.support.nodes import eventually
from tests.support.shard_stores import BLOCK, content, publish


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


@pytest.mark.parametrize("ending", ["close", "abandon", "publish"])
async def test_a_pack_ends_with_its_last_byte_once_it_is_closed(
    store: ShardStore, name: ShardName, ending: str
) -> None:
    file = await store.create(name, purpose="pack", header=b"head", size_bytes=1 << 16)
    await file.write(4, [b"more"], sync=True)
    await file.write(4, [b"mo"], sync=True)
    beyond = await content(store, name)
    assert beyond.rstrip(b"\0") == b"headmore"
    await getattr(file, ending)()

    await eventually(lambda: content(store, name), b"headmore")


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
