"""One open pack segment: groups, quorums, room, and how it closes."""

import asyncio

import pytest

from core.errors import SegmentClosed
from storage_nodes.pack_format import aligned, parse_record, record_length, scan
from tests.support.clock import FakeClock
from tests.support.pack_bench import SEGMENT, VERSION, PackBench, stored
from tests.support.segments import until


@pytest.fixture
async def bench(time: FakeClock) -> PackBench:
    return await PackBench.opened()


async def test_an_append_is_on_every_drive_as_the_same_record(bench: PackBench) -> None:
    result = await stored(bench.append(b"hello", quorum=3))

    for index in range(3):
        record = bench.copy(index)[result.offset : result.offset + record_length(5)]
        assert bytes(parse_record(record, SEGMENT, result.offset)) == b"hello"
    assert (result.kind, result.epoch, result.copies) == ("open", 1, 3)


async def test_appends_of_one_moment_share_one_write_per_drive(bench: PackBench) -> None:
    answers = [bench.append(b"x" * 100) for _ in range(20)]

    for answer in answers:
        await stored(answer)

    await until(lambda: bench.pack.confirmed == [bench.pack.size] * 3)
    assert [bench.writes(drive) for drive in (1, 2, 3)] == [1, 1, 1]


async def test_the_next_group_gathers_while_one_is_under_way(bench: PackBench) -> None:
    bench.hold(1, 2, 3)
    first = bench.append(b"first")
    await until(lambda: bench.writes(1) == 1)
    rest = [bench.append(b"next") for _ in range(5)]
    bench.release(1, 2, 3)

    for answer in (first, *rest):
        await stored(answer)

    await until(lambda: bench.pack.confirmed == [bench.pack.size] * 3)
    assert bench.writes(1) == 2


async def test_every_group_starts_on_a_fresh_block(bench: PackBench) -> None:
    first = await stored(bench.append(b"a" * 10))
    second = await stored(bench.append(b"b" * 10))

    assert first.offset == 0
    assert second.offset == 4096


async def test_what_every_drive_holds_is_let_go_of(bench: PackBench) -> None:
    await stored(bench.append(b"x" * 1000, quorum=3))
    await until(lambda: bench.pack.confirmed == [bench.pack.size] * 3)

    given = [each for store in bench.fleet.stores.values() for each in store.given]
    assert len(given) >= 3
    await until(lambda: all(each() is None for each in given))


async def test_two_of_three_copies_make_a_fast_write(bench: PackBench) -> None:
    bench.hold(3)

    result = await stored(bench.append(b"fast", quorum=2))

    assert result.copies == 2
    assert sorted(bench.pack.confirmed) == [0, 4096, 4096]


async def test_a_strict_write_waits_for_the_third_copy(bench: PackBench) -> None:
    bench.hold(3)
    strict = bench.append(b"strict", quorum=3)
    fast = bench.append(b"fast", quorum=2)

    await stored(fast)
    assert not strict.done()
    bench.release(3)

    assert (await stored(strict)).copies == 3


async def test_a_slower_copy_does_not_hold_up_the_next_group(bench: PackBench) -> None:
    bench.hold(3)

    for _ in range(5):
        await stored(bench.append(b"x"))

    assert bench.pack.confirmed[2] == 0


async def test_a_copy_that_was_held_up_catches_up_in_one_write(bench: PackBench) -> None:
    bench.hold(3)
    for _ in range(5):
        await stored(bench.append(b"x"))
    bench.release(3)

    await until(lambda: bench.pack.confirmed[2] == bench.pack.size)

    assert bench.writes(3) == 2
    assert bench.copy(2) == bench.copy(0)


async def test_a_pack_takes_no_more_than_its_capacity(time: FakeClock) -> None:
    bench = await PackBench.opened(capacity=16384)

    await stored(bench.append(b"x" * 4096))

    assert bench.pack.takes(1000)
    assert not bench.pack.takes(8192)


async def test_an_empty_pack_takes_what_fills_it(time: FakeClock) -> None:
    bench = await PackBench.opened(capacity=16384)

    assert bench.pack.takes(16384)


async def test_a_closed_pack_is_quiet_once_its_commits_are_settled(bench: PackBench) -> None:
    result = await stored(bench.append(b"x"))
    bench.pack.close("stop")
    waiting = asyncio.create_task(bench.pack.quiet(3600))
    await until(lambda: bench.pack.confirmed == [4096] * 3)
    assert not waiting.done()

    result.settle()

    async with asyncio.timeout(30):
        await waiting


async def test_settling_twice_counts_once(bench: PackBench) -> None:
    first = await stored(bench.append(b"x"))
    await stored(bench.append(b"y"))

    first.settle()
    first.settle()

    assert bench.pack.unsettled == 1


async def test_a_pack_that_closes_refuses_only_what_was_not_sent(bench: PackBench) -> None:
    bench.hold(1, 2, 3)
    sent = bench.append(b"sent")
    await until(lambda: bench.writes(1) == 1)
    gathered = bench.append(b"gathered")
    bench.pack.close("stop")
    bench.release(1, 2, 3)

    with pytest.raises(SegmentClosed):
        await gathered
    assert (await stored(sent)).offset == 0


async def test_records_of_one_group_are_found_by_a_scan(bench: PackBench) -> None:
    contents = [bytes([number]) * (number * 1000) for number in range(10)]
    answers = [bench.append(content) for content in contents]
    results = [await stored(answer) for answer in answers]

    found = list(scan(bench.copy(0), SEGMENT))

    assert [each.position for each in found] == [result.offset for result in results]
    assert [each.length for each in found] == [len(content) for content in contents]


async def test_a_large_payload_in_pieces_is_one_record(bench: PackBench) -> None:
    pieces = [b"a" * 100_000, b"b" * 100_000, b"c" * 7]
    answer = bench.pack.append(VERSION.bytes, pieces, 200_007, 2)

    result = await stored(answer)

    record = bench.copy(0)[: record_length(200_007)]
    assert bytes(parse_record(record, SEGMENT, result.offset)) == b"".join(pieces)
    assert bench.pack.size == aligned(record_length(200_007), 4096)
