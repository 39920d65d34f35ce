"""Reads: ranges of every layout, bytes that have moved, readers that share, go away and expire."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import pytest

from core import clock
from storage_nodes.located import Located
from storage_nodes.shard_name import ShardName
from storage_nodes.shard_reads import MAX_AGE_S
from tests.support.clock import FakeClock
from tests.support.read_bench import LARGE, MEDIUM, SMALL, ReadBench, reading
from tests.support.segments import until

RANGES = [(0, 1), (0, 5000), (4999, 5000), (17, 17), (100, 4000)]


@pytest.fixture
async def bench() -> AsyncIterator[ReadBench]:
    async with reading() as made:
        yield made


@pytest.mark.parametrize(("start", "stop"), RANGES)
async def test_a_range_of_a_small_object_is_read_back(
    bench: ReadBench, start: int, stop: int
) -> None:
    place = await bench.packed(SMALL)

    assert await bench.segments.read(place, start, stop) == SMALL[start:stop]


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, 1), (65_535, 65_537), (0, 700_000), (699_999, 700_000), (131_072, 300_000)],
)
async def test_a_range_of_a_larger_record_is_read_back(
    bench: ReadBench, start: int, stop: int
) -> None:
    place = await bench.packed(MEDIUM)

    assert await bench.segments.read(place, start, stop) == MEDIUM[start:stop]


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        (0, len(LARGE)),
        (0, 1),
        (786_431, 786_433),
        (131_071, 131_073),
        (len(LARGE) - 1, len(LARGE)),
        (1_000_000, 2_500_000),
    ],
)
async def test_a_range_of_a_coded_object_is_read_back(
    bench: ReadBench, start: int, stop: int
) -> None:
    places = await bench.coded(LARGE)

    assert await bench.streamed(places, start, stop) == LARGE[start:stop]


async def test_an_extent_may_be_part_of_a_record(bench: ReadBench) -> None:
    place = replace(await bench.packed(MEDIUM), skip=70_000, length=200_000)

    assert await bench.segments.read(place, 10, 100_000) == MEDIUM[70_010:170_000]


async def test_a_second_read_needs_no_waiting(bench: ReadBench) -> None:
    place = await bench.packed(SMALL)
    await bench.segments.read(place, 0, 5000)

    assert bench.segments.reader.read_now(place, 0, 5000) == SMALL


async def test_extents_of_different_layouts_are_streamed_as_one_body(bench: ReadBench) -> None:
    places = [await bench.packed(SMALL), *await bench.coded(LARGE), await bench.packed(MEDIUM)]
    whole = SMALL + LARGE + MEDIUM

    assert await bench.streamed(places, 4000, len(whole) - 5) == whole[4000:-5]


async def test_a_segment_that_got_a_new_layout_is_found_by_one_look(bench: ReadBench) -> None:
    place = await bench.packed(SMALL)
    coded = (await bench.coded(LARGE))[0]
    # As after encoding: the row names other files, and those of the old layout are gone.
    row = bench.rows.rows[place.segment_id]
    for index in range(3):
        name = ShardName(place.segment_id, 1, index)
        content = bench.shard(place, index)
        bench.fleet.stores[row.drives[index]].shards[ShardName(place.segment_id, 2, index)] = (
            content
        )
        del bench.fleet.stores[row.drives[index]].shards[name]
    row.epoch = 2

    assert await bench.segments.read(place, 0, 5000) == SMALL
    assert await bench.noticed() == []
    assert coded.epoch == 1


async def test_bytes_that_were_rewritten_elsewhere_are_found_through_refresh(
    bench: ReadBench,
) -> None:
    old = await bench.packed(MEDIUM)
    new = await bench.packed(SMALL)
    whole = [replace(old, length=5000)]
    bench.rows.rows[old.segment_id].state = "dead"
    gone = replace(old, segment_id=UUID(int=1))

    async def refresh() -> list[Located]:
        return [new]

    stream = bench.segments.stream(
        [replace(whole[0], segment_id=gone.segment_id)], 0, 5000, refresh
    )

    assert bytes(await stream.next()) == SMALL
    assert not await stream.next()


async def test_equal_cold_reads_share_one_reading(bench: ReadBench) -> None:
    place = await bench.packed(SMALL)

    answers = await asyncio.gather(*(bench.segments.read(place, 0, 5000) for _ in range(10)))

    assert answers == [SMALL] * 10
    assert sum(store.opens for store in bench.fleet.stores.values()) == 1


async def test_a_reader_that_goes_away_leaves_the_others_their_answer(bench: ReadBench) -> None:
    place = await bench.packed(SMALL)
    bench.fleet.hold()
    first = asyncio.create_task(bench.segments.read(place, 0, 5000))
    second = asyncio.create_task(bench.segments.read(place, 0, 5000))
    await until(lambda: bool(bench.segments.reader._cold))
    first.cancel()
    bench.fleet.release()

    assert await second == SMALL


async def test_a_stream_that_is_closed_in_the_middle_stops(bench: ReadBench) -> None:
    places = await bench.coded(LARGE)
    stream = bench.segments.stream(places, 0, len(LARGE))
    await stream.next()

    await stream.close()

    assert not await stream.next()


async def test_open_readers_are_bounded(bench: ReadBench) -> None:
    bench.segments.shards._limit = 4
    for number in range(10):
        place = await bench.packed(bytes([number]) * 300_000)
        await bench.segments.read(place, 0, 10)
        place = (await bench.coded(LARGE[:200_000]))[0]
        await bench.segments.read(place, 0, 10)

    assert len(bench.segments.shards._open) <= 4


async def test_a_reader_that_is_not_used_is_closed(bench: ReadBench) -> None:
    place = await bench.packed(SMALL)
    await bench.segments.read(place, 0, 10)

    bench.segments.shards.expire()
    assert bench.segments.shards._open
    bench.segments.shards.expire()

    assert not bench.segments.shards._open


async def test_a_reader_that_is_old_is_closed_although_it_is_used() -> None:
    with clock.use(FakeClock()) as time:
        bench = ReadBench()
        place = await bench.packed(SMALL)
        await bench.segments.read(place, 0, 10)
        assert isinstance(time, FakeClock)
        time.advance(MAX_AGE_S + 1)
        await bench.segments.read(place, 0, 10)

        bench.segments.shards.expire()

        assert not bench.segments.shards._open
        await bench.close()
