"""Reads: verified, around what is missing, slow or wrong, and after bytes that have moved."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import combinations
from random import Random
from uuid import UUID

import pytest

from core import clock
from core.config import config
from core.errors import NotEnoughShards
from storage_nodes.located import Located, Stored
from storage_nodes.segments import Segments
from storage_nodes.shard_file import HEADER_SIZE
from storage_nodes.shard_name import ShardName
from storage_nodes.shard_reads import MAX_AGE_S
from storage_nodes.stream import WINDOW
from tests.support.clock import FakeClock
from tests.support.segments import GatedStore, MemoryFleet, MemoryRows, located, until

VERSION = UUID(int=9)
SMALL = Random(1).randbytes(5000)
MEDIUM = Random(2).randbytes(700_000)
LARGE = Random(3).randbytes(3 * 786_432 + 100_001)


class Bench:
    def __init__(self, drives: int = 9) -> None:
        self.fleet = MemoryFleet(drives)
        self.rows = MemoryRows()
        self.segments = Segments(
            self.rows,  # type: ignore[arg-type]  # a fake with the same methods
            self.fleet,
            config(),
        )

    async def packed(self, content: bytes) -> Located:
        stored = await self.segments.append("ec-6-3", "strict", VERSION, content)
        stored.settle()
        return located(self.rows, stored)

    async def coded(self, content: bytes, policy: str = "ec-6-3") -> list[Located]:
        writer = await self.segments.write(policy, "fast")
        for start in range(0, len(content), 300_000):
            await writer.feed(content[start : start + 300_000])
        return [self._committed(stored) for stored in await writer.finish()]

    def _committed(self, stored: Stored) -> Located:
        self.rows.rows[stored.segment_id].state = "stored"
        stored.settle()
        return located(self.rows, stored)

    def store_of(self, place: Located, index: int) -> GatedStore:
        return self.fleet.stores[place.drives[index]]

    def shard(self, place: Located, index: int) -> bytearray:
        name = ShardName(place.segment_id, place.epoch, index)
        return self.store_of(place, index).shards[name]

    def remove(self, place: Located, *indexes: int) -> None:
        for index in indexes:
            name = ShardName(place.segment_id, place.epoch, index)
            del self.store_of(place, index).shards[name]

    async def streamed(self, places: list[Located], start: int, stop: int) -> bytes:
        stream = self.segments.stream(places, start, stop)
        content = bytearray()
        while piece := await stream.next():
            assert len(piece) <= WINDOW
            content += piece
        await stream.close()
        return bytes(content)

    async def noticed(self) -> list[tuple[int, str]]:
        await self.segments.damage.close()
        return sorted((index, state) for _, _, index, state in self.rows.noticed_shards)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    for store in made.fleet.stores.values():
        store.gate.set()
    await made.segments.close()


RANGES = [(0, 1), (0, 5000), (4999, 5000), (17, 17), (100, 4000)]


@pytest.mark.parametrize(("start", "stop"), RANGES)
async def test_a_range_of_a_small_object_is_read_back(bench: Bench, start: int, stop: int) -> None:
    place = await bench.packed(SMALL)

    assert await bench.segments.read(place, start, stop) == SMALL[start:stop]


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, 1), (65_535, 65_537), (0, 700_000), (699_999, 700_000), (131_072, 300_000)],
)
async def test_a_range_of_a_larger_record_is_read_back(bench: Bench, start: int, stop: int) -> None:
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
async def test_a_range_of_a_coded_object_is_read_back(bench: Bench, start: int, stop: int) -> None:
    places = await bench.coded(LARGE)

    assert await bench.streamed(places, start, stop) == LARGE[start:stop]


async def test_an_extent_may_be_part_of_a_record(bench: Bench) -> None:
    place = replace(await bench.packed(MEDIUM), skip=70_000, length=200_000)

    assert await bench.segments.read(place, 10, 100_000) == MEDIUM[70_010:170_000]


async def test_a_second_read_needs_no_waiting(bench: Bench) -> None:
    place = await bench.packed(SMALL)
    await bench.segments.read(place, 0, 5000)

    assert bench.segments.reader.read_now(place, 0, 5000) == SMALL


async def test_extents_of_different_layouts_are_streamed_as_one_body(bench: Bench) -> None:
    places = [await bench.packed(SMALL), *await bench.coded(LARGE), await bench.packed(MEDIUM)]
    whole = SMALL + LARGE + MEDIUM

    assert await bench.streamed(places, 4000, len(whole) - 5) == whole[4000:-5]


async def test_a_range_touches_only_its_blocks(bench: Bench) -> None:
    """Damage elsewhere in the record is not even looked at."""
    place = await bench.packed(MEDIUM)
    for index in range(3):
        bench.shard(place, index)[HEADER_SIZE + place.offset + 64 + 200_000] ^= 1

    assert await bench.segments.read(place, 0, 65_536) == MEDIUM[:65_536]


async def test_damage_to_one_copy_is_read_around_and_told(bench: Bench) -> None:
    place = await bench.packed(SMALL)
    bench.rows.rows[place.segment_id].state = place.state = "sealed"
    first = place.segment_id.int % 3
    bench.shard(place, first)[HEADER_SIZE + place.offset + 64 + 10] ^= 1

    assert await bench.segments.read(place, 0, 5000) == SMALL
    assert await bench.noticed() == [(first, "corrupt")]


async def test_a_copy_that_ends_early_is_not_damage(bench: Bench) -> None:
    place = await bench.packed(SMALL)
    place.state = "sealed"
    first = place.segment_id.int % 3
    del bench.shard(place, first)[HEADER_SIZE:]

    assert await bench.segments.read(place, 0, 5000) == SMALL
    assert await bench.noticed() == []


async def test_a_missing_copy_is_read_around_and_told(bench: Bench) -> None:
    place = await bench.packed(SMALL)
    first = place.segment_id.int % 3
    bench.remove(place, first)

    assert await bench.segments.read(place, 0, 5000) == SMALL
    assert await bench.noticed() == [(first, "missing")]


async def test_damage_to_every_copy_is_an_error_not_wrong_bytes(bench: Bench) -> None:
    place = await bench.packed(SMALL)
    for index in range(3):
        bench.shard(place, index)[HEADER_SIZE + place.offset + 64] ^= 1

    with pytest.raises(NotEnoughShards):
        await bench.segments.read(place, 0, 5000)


@pytest.mark.parametrize("lost", [(0,), (0, 5), (1, 2, 3), (0, 6, 8)])
async def test_a_coded_object_is_read_without_lost_shards(
    bench: Bench, lost: tuple[int, ...]
) -> None:
    places = await bench.coded(LARGE)
    bench.remove(places[0], *lost)

    assert await bench.streamed(places, 0, len(LARGE)) == LARGE
    noticed = {index for index, _ in await bench.noticed()}
    assert {index for index in lost if index < 6} <= noticed <= set(lost)


async def test_any_three_lost_shards_of_nine_leave_the_bytes_readable(bench: Bench) -> None:
    content = LARGE[:800_000]
    place = (await bench.coded(content))[0]
    kept = {index: bytes(bench.shard(place, index)) for index in range(9)}

    for lost in combinations(range(9), 3):
        bench.remove(place, *lost)
        await bench.segments.shards.close()
        assert await bench.streamed([place], 0, len(content)) == content
        for index in lost:
            name = ShardName(place.segment_id, 1, index)
            bench.store_of(place, index).shards[name] = bytearray(kept[index])


async def test_four_lost_shards_are_an_error(bench: Bench) -> None:
    places = await bench.coded(LARGE)
    bench.remove(places[0], 0, 1, 2, 7)

    with pytest.raises(NotEnoughShards):
        await bench.streamed(places, 0, len(LARGE))


@pytest.mark.parametrize("at", [0, 70_000, 131_071])
async def test_a_flipped_bit_in_a_data_shard_is_decoded_around_and_told(
    bench: Bench, at: int
) -> None:
    places = await bench.coded(LARGE)
    bench.shard(places[0], 2)[HEADER_SIZE + at] ^= 0x40

    assert await bench.streamed(places, 0, len(LARGE)) == LARGE
    assert await bench.noticed() == [(2, "corrupt")]


async def test_a_shard_cut_short_is_decoded_around_and_told(bench: Bench) -> None:
    places = await bench.coded(LARGE)
    del bench.shard(places[0], 4)[-100:]

    assert await bench.streamed(places, 0, len(LARGE)) == LARGE
    assert await bench.noticed() == [(4, "corrupt")]


async def test_shards_in_each_others_place_are_decoded_around(bench: Bench) -> None:
    places = await bench.coded(LARGE)
    first, second = bench.shard(places[0], 0), bench.shard(places[0], 1)
    first[:], second[:] = bytes(second), bytes(first)

    assert await bench.streamed(places, 0, len(LARGE)) == LARGE


async def test_a_small_range_of_a_lost_shard_is_decoded(bench: Bench) -> None:
    places = await bench.coded(LARGE)
    bench.remove(places[0], 0)

    assert await bench.segments.read(places[0], 10, 5000) == LARGE[10:5000]


async def test_a_drive_that_is_gone_is_not_reported_as_damage(bench: Bench) -> None:
    places = await bench.coded(LARGE)
    bench.fleet.lost.add(places[0].drives[0])

    assert await bench.streamed(places, 0, len(LARGE)) == LARGE
    assert await bench.noticed() == []


async def test_a_segment_that_got_a_new_layout_is_found_by_one_look(bench: Bench) -> None:
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


async def test_bytes_that_were_rewritten_elsewhere_are_found_through_refresh(bench: Bench) -> None:
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


async def test_a_drive_that_does_not_answer_is_hedged(bench: Bench) -> None:
    """The gate never opens: only the other shards can have answered."""
    places = await bench.coded(LARGE)
    bench.store_of(places[0], 1).hang_reads = True

    assert await bench.streamed(places, 0, len(LARGE)) == LARGE
    assert await bench.noticed() == []


async def test_equal_cold_reads_share_one_reading(bench: Bench) -> None:
    place = await bench.packed(SMALL)

    answers = await asyncio.gather(*(bench.segments.read(place, 0, 5000) for _ in range(10)))

    assert answers == [SMALL] * 10
    assert sum(store.opens for store in bench.fleet.stores.values()) == 1


async def test_a_reader_that_goes_away_leaves_the_others_their_answer(bench: Bench) -> None:
    place = await bench.packed(SMALL)
    for store in bench.fleet.stores.values():
        store.gate.clear()
    first = asyncio.create_task(bench.segments.read(place, 0, 5000))
    second = asyncio.create_task(bench.segments.read(place, 0, 5000))
    await until(lambda: bool(bench.segments.reader._cold))
    first.cancel()
    for store in bench.fleet.stores.values():
        store.gate.set()

    assert await second == SMALL


async def test_a_stream_that_is_closed_in_the_middle_stops(bench: Bench) -> None:
    places = await bench.coded(LARGE)
    stream = bench.segments.stream(places, 0, len(LARGE))
    await stream.next()

    await stream.close()

    assert not await stream.next()


async def test_open_readers_are_bounded(bench: Bench) -> None:
    bench.segments.shards._limit = 4
    for number in range(10):
        place = await bench.packed(bytes([number]) * 300_000)
        await bench.segments.read(place, 0, 10)
        place = (await bench.coded(LARGE[:200_000]))[0]
        await bench.segments.read(place, 0, 10)

    assert len(bench.segments.shards._open) <= 4


async def test_a_reader_that_is_not_used_is_closed(bench: Bench) -> None:
    place = await bench.packed(SMALL)
    await bench.segments.read(place, 0, 10)

    bench.segments.shards.expire()
    assert bench.segments.shards._open
    bench.segments.shards.expire()

    assert not bench.segments.shards._open


async def test_a_reader_that_is_old_is_closed_although_it_is_used() -> None:
    with clock.use(FakeClock()) as time:
        bench = Bench()
        place = await bench.packed(SMALL)
        await bench.segments.read(place, 0, 10)
        assert isinstance(time, FakeClock)
        time.advance(MAX_AGE_S + 1)
        await bench.segments.read(place, 0, 10)

        bench.segments.shards.expire()

        assert not bench.segments.shards._open
        await bench.segments.close()
