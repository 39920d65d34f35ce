"""Reads around what is missing, slow or wrong: never wrong bytes, and the damage is told."""

from collections.abc import AsyncIterator
from itertools import combinations

import pytest

from core.errors import NotEnoughShards
from storage_nodes.pack_format import record_length
from storage_nodes.shard_file import HEADER_SIZE
from storage_nodes.shard_name import ShardName
from tests.support.read_bench import LARGE, MEDIUM, SMALL, ReadBench, reading


@pytest.fixture
async def bench() -> AsyncIterator[ReadBench]:
    async with reading() as made:
        yield made


async def test_a_range_touches_only_its_blocks(bench: ReadBench) -> None:
    """Damage elsewhere in the record is not even looked at."""
    place = await bench.packed(MEDIUM)
    for index in range(3):
        bench.shard(place, index)[HEADER_SIZE + place.offset + 64 + 200_000] ^= 1

    assert await bench.segments.read(place, 0, 65_536) == MEDIUM[:65_536]


async def test_damage_to_one_copy_is_read_around_and_told(bench: ReadBench) -> None:
    place = await bench.packed(SMALL)
    bench.rows.rows[place.segment_id].state = place.state = "sealed"
    first = place.segment_id.int % 3
    bench.shard(place, first)[HEADER_SIZE + place.offset + 64 + 10] ^= 1

    assert await bench.segments.read(place, 0, 5000) == SMALL
    assert await bench.noticed() == [(first, "corrupt")]


@pytest.mark.parametrize("ends_in", ["its length", "zeros"])
async def test_a_copy_that_ends_early_is_not_damage(bench: ReadBench, ends_in: str) -> None:
    place = await bench.packed(SMALL)
    place.state = "sealed"
    first = place.segment_id.int % 3
    place.confirmed = [0 if index == first else place.size for index in range(3)]
    end_early(bench.shard(place, first), ends_in)

    assert await bench.segments.read(place, 0, 5000) == SMALL
    assert await bench.noticed() == []


@pytest.mark.parametrize("ends_in", ["its length", "zeros"])
async def test_a_copy_that_ends_before_what_was_confirmed_of_it_is_damage(
    bench: ReadBench, ends_in: str
) -> None:
    place = await bench.packed(SMALL)
    bench.rows.rows[place.segment_id].state = place.state = "sealed"
    first = place.segment_id.int % 3
    place.confirmed = [place.offset + record_length(len(SMALL))] * 3
    end_early(bench.shard(place, first), ends_in)

    assert await bench.segments.read(place, 0, 5000) == SMALL
    assert await bench.noticed() == [(first, "corrupt")]


def end_early(copy: bytearray, ends_in: str) -> None:
    if ends_in == "its length":
        del copy[HEADER_SIZE:]
    else:
        copy[HEADER_SIZE:] = bytes(len(copy) - HEADER_SIZE)


async def test_a_missing_copy_is_read_around_and_told(bench: ReadBench) -> None:
    place = await bench.packed(SMALL)
    first = place.segment_id.int % 3
    bench.remove(place, first)

    assert await bench.segments.read(place, 0, 5000) == SMALL
    assert await bench.noticed() == [(first, "missing")]


async def test_damage_to_every_copy_is_an_error_not_wrong_bytes(bench: ReadBench) -> None:
    place = await bench.packed(SMALL)
    for index in range(3):
        bench.shard(place, index)[HEADER_SIZE + place.offset + 64] ^= 1

    with pytest.raises(NotEnoughShards):
        await bench.segments.read(place, 0, 5000)


@pytest.mark.parametrize("lost", [(0,), (0, 5), (1, 2, 3), (0, 6, 8)])
async def test_a_coded_object_is_read_without_lost_shards(
    bench: ReadBench, lost: tuple[int, ...]
) -> None:
    places = await bench.coded(LARGE)
    bench.remove(places[0], *lost)

    assert await bench.streamed(places, 0, len(LARGE)) == LARGE
    noticed = {index for index, _ in await bench.noticed()}
    assert {index for index in lost if index < 6} <= noticed <= set(lost)


async def test_any_three_lost_shards_of_nine_leave_the_bytes_readable(bench: ReadBench) -> None:
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


async def test_four_lost_shards_are_an_error(bench: ReadBench) -> None:
    places = await bench.coded(LARGE)
    bench.remove(places[0], 0, 1, 2, 7)

    with pytest.raises(NotEnoughShards):
        await bench.streamed(places, 0, len(LARGE))


@pytest.mark.parametrize("at", [0, 70_000, 131_071])
async def test_a_flipped_bit_in_a_data_shard_is_decoded_around_and_told(
    bench: ReadBench, at: int
) -> None:
    places = await bench.coded(LARGE)
    bench.shard(places[0], 2)[HEADER_SIZE + at] ^= 0x40

    assert await bench.streamed(places, 0, len(LARGE)) == LARGE
    assert await bench.noticed() == [(2, "corrupt")]


async def test_a_shard_cut_short_is_decoded_around_and_told(bench: ReadBench) -> None:
    places = await bench.coded(LARGE)
    del bench.shard(places[0], 4)[-100:]

    assert await bench.streamed(places, 0, len(LARGE)) == LARGE
    assert await bench.noticed() == [(4, "corrupt")]


async def test_shards_in_each_others_place_are_decoded_around(bench: ReadBench) -> None:
    places = await bench.coded(LARGE)
    first, second = bench.shard(places[0], 0), bench.shard(places[0], 1)
    first[:], second[:] = bytes(second), bytes(first)

    assert await bench.streamed(places, 0, len(LARGE)) == LARGE


async def test_a_small_range_of_a_lost_shard_is_decoded(bench: ReadBench) -> None:
    places = await bench.coded(LARGE)
    bench.remove(places[0], 0)

    assert await bench.segments.read(places[0], 10, 5000) == LARGE[10:5000]


async def test_a_drive_that_is_gone_is_not_reported_as_damage(bench: ReadBench) -> None:
    places = await bench.coded(LARGE)
    bench.fleet.lost.add(places[0].drives[0])

    assert await bench.streamed(places, 0, len(LARGE)) == LARGE
    assert await bench.noticed() == []


async def test_a_drive_that_does_not_answer_is_hedged(bench: ReadBench) -> None:
    """The gate never opens: only the other shards can have answered."""
    places = await bench.coded(LARGE)
    bench.store_of(places[0], 1).hang_reads = True

    assert await bench.streamed(places, 0, len(LARGE)) == LARGE
    assert await bench.noticed() == []
