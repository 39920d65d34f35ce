"""One open pack segment: groups, quorums, copies that fail or lag, requests that go away."""

import asyncio
from collections.abc import Iterator
from uuid import UUID

import pytest

from core import clock
from core.errors import DriveFenced, QuorumNotMet, SegmentClosed
from storage_nodes.located import Stored
from storage_nodes.pack import STALL_S, Pack
from storage_nodes.pack_format import aligned, parse_record, record_length, scan
from storage_nodes.shard_file import HEADER_SIZE
from storage_nodes.shard_name import ShardName
from tests.support.clock import FakeClock
from tests.support.segments import HandTimer, MemoryFleet, until

LAG_S = 1.0
VERSION = UUID(int=9)
SEGMENT = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
FAILURE = DriveFenced(drive="test")


@pytest.fixture
def time() -> Iterator[FakeClock]:
    with clock.use(FakeClock()) as fake:
        assert isinstance(fake, FakeClock)
        yield fake


class Bench:
    """A pack on drives 1, 2 and 3, each with a gate."""

    def __init__(self) -> None:
        self.fleet = MemoryFleet(3)
        self.timer = HandTimer()
        self.closings = 0
        self.bad: list[int] = []

    async def open(self, capacity: int = 1 << 20) -> Pack:
        files = []
        for index, drive in enumerate((1, 2, 3)):
            name = ShardName(SEGMENT, 1, index)
            store = self.fleet.store(drive)
            files.append(
                (drive, await store.create(name, purpose="pack", header=bytes(HEADER_SIZE)))
            )

        def closing(_: Pack) -> None:
            self.closings += 1

        self.pack = Pack(
            segment_id=SEGMENT,
            epoch=1,
            policy_name="ec-6-3",
            files=files,
            quorum=2,
            capacity=capacity,
            lag_s=LAG_S,
            on_closing=closing,
            on_bad_drive=lambda drive, why: self.bad.append(drive),
            later=self.timer,
        )
        return self.pack

    def append(self, content: bytes, quorum: int = 2) -> "asyncio.Future[object]":
        return self.pack.append(VERSION.bytes, [content], len(content), quorum)

    def hold(self, *drives: int) -> None:
        for drive in drives:
            self.fleet.stores[drive].gate.clear()

    def release(self, *drives: int) -> None:
        for drive in drives:
            self.fleet.stores[drive].gate.set()

    def copy(self, index: int) -> bytes:
        """The address space as one drive holds it."""
        return bytes(
            self.fleet.stores[index + 1].shards[ShardName(SEGMENT, 1, index)][HEADER_SIZE:]
        )

    def writes(self, drive: int) -> int:
        return self.fleet.stores[drive].writes


@pytest.fixture
async def bench(time: FakeClock) -> "Bench":
    made = Bench()
    await made.open()
    return made


async def stored(answer: "asyncio.Future[object]") -> Stored:
    async with asyncio.timeout(30):
        result = await answer
    assert isinstance(result, Stored)
    return result


async def test_an_append_is_on_every_drive_as_the_same_record(bench: Bench) -> None:
    result = await stored(bench.append(b"hello", quorum=3))

    for index in range(3):
        record = bench.copy(index)[result.offset : result.offset + record_length(5)]
        assert bytes(parse_record(record, SEGMENT, result.offset)) == b"hello"
    assert (result.kind, result.epoch, result.copies) == ("open", 1, 3)


async def test_appends_of_one_moment_share_one_write_per_drive(bench: Bench) -> None:
    answers = [bench.append(b"x" * 100) for _ in range(20)]

    for answer in answers:
        await stored(answer)

    await until(lambda: bench.pack.confirmed == [bench.pack.size] * 3)
    assert [bench.writes(drive) for drive in (1, 2, 3)] == [1, 1, 1]


async def test_the_next_group_gathers_while_one_is_under_way(bench: Bench) -> None:
    bench.hold(1, 2, 3)
    first = bench.append(b"first")
    await until(lambda: bench.writes(1) == 1)
    rest = [bench.append(b"next") for _ in range(5)]
    bench.release(1, 2, 3)

    for answer in (first, *rest):
        await stored(answer)

    await until(lambda: bench.pack.confirmed == [bench.pack.size] * 3)
    assert bench.writes(1) == 2


async def test_every_group_starts_on_a_fresh_block(bench: Bench) -> None:
    first = await stored(bench.append(b"a" * 10))
    second = await stored(bench.append(b"b" * 10))

    assert first.offset == 0
    assert second.offset == 4096


async def test_two_of_three_copies_make_a_fast_write(bench: Bench) -> None:
    bench.hold(3)

    result = await stored(bench.append(b"fast", quorum=2))

    assert result.copies == 2
    assert sorted(bench.pack.confirmed) == [0, 4096, 4096]


async def test_a_strict_write_waits_for_the_third_copy(bench: Bench) -> None:
    bench.hold(3)
    strict = bench.append(b"strict", quorum=3)
    fast = bench.append(b"fast", quorum=2)

    await stored(fast)
    assert not strict.done()
    bench.release(3)

    assert (await stored(strict)).copies == 3


async def test_a_slower_copy_does_not_hold_up_the_next_group(bench: Bench) -> None:
    bench.hold(3)

    for _ in range(5):
        await stored(bench.append(b"x"))

    assert bench.pack.confirmed[2] == 0


async def test_a_copy_that_was_held_up_catches_up_in_one_write(bench: Bench) -> None:
    bench.hold(3)
    for _ in range(5):
        await stored(bench.append(b"x"))
    bench.release(3)

    await until(lambda: bench.pack.confirmed[2] == bench.pack.size)

    assert bench.writes(3) == 2
    assert bench.copy(2) == bench.copy(0)


async def test_a_copy_that_lags_is_closed_for_good(bench: Bench, time: FakeClock) -> None:
    bench.hold(3)
    await stored(bench.append(b"x"))
    time.advance(LAG_S)
    bench.timer.fire()

    assert bench.pack.is_closing
    assert bench.bad == [3]
    bench.release(3)
    await bench.pack.close_files()
    assert bench.pack.confirmed == [4096, 4096, 0]


async def test_a_copy_that_is_late_but_not_yet_lagging_stays(bench: Bench, time: FakeClock) -> None:
    bench.hold(3)
    await stored(bench.append(b"x"))
    time.advance(LAG_S / 2)
    bench.timer.fire()

    assert not bench.pack.is_closing


async def test_lag_counts_from_the_quorum_not_from_the_request(
    bench: Bench, time: FakeClock
) -> None:
    bench.hold(1, 2, 3)
    answer = bench.append(b"x")
    await until(lambda: bench.writes(3) == 1)
    time.advance(5 * LAG_S)
    bench.release(1, 2)
    await stored(answer)
    bench.timer.fire()

    assert not bench.pack.is_closing


async def test_drives_that_neither_work_nor_fail_are_given_up_in_the_end(
    bench: Bench, time: FakeClock
) -> None:
    bench.hold(2, 3)
    answer = bench.append(b"x")
    await until(lambda: bench.writes(3) == 1)
    time.advance(STALL_S)
    bench.timer.fire()

    with pytest.raises(QuorumNotMet):
        await answer
    assert bench.bad == [2, 3]


async def test_a_copy_that_fails_closes_the_pack_but_not_the_write(bench: Bench) -> None:
    bench.fleet.stores[1].failing = FAILURE

    result = await stored(bench.append(b"x"))

    assert result.copies == 2
    await until(lambda: bench.pack.is_closing)
    assert bench.closings == 1
    assert not bench.pack.takes(1)


async def test_without_a_quorum_of_copies_an_append_fails(bench: Bench) -> None:
    bench.fleet.stores[1].failing = FAILURE
    bench.fleet.stores[2].failing = FAILURE

    with pytest.raises(QuorumNotMet):
        await bench.append(b"x")


async def test_a_strict_append_fails_as_soon_as_one_copy_does(bench: Bench) -> None:
    bench.hold(2)
    bench.fleet.stores[1].failing = FAILURE

    with pytest.raises(QuorumNotMet):
        await bench.append(b"x", quorum=3)


async def test_what_was_only_gathered_when_a_copy_failed_may_go_elsewhere(bench: Bench) -> None:
    bench.hold(1, 2, 3)
    first = bench.append(b"first")
    await until(lambda: bench.writes(1) == 1)
    gathered = bench.append(b"gathered")
    bench.fleet.stores[1].failing = FAILURE
    bench.release(1)

    with pytest.raises(SegmentClosed):
        await gathered
    bench.release(2, 3)
    await stored(first)


async def test_a_copy_that_failed_never_gets_another_byte(bench: Bench) -> None:
    bench.fleet.stores[1].failing = FAILURE
    await stored(bench.append(b"x"))
    await until(lambda: bench.pack.is_closing)

    bench.fleet.stores[1].failing = None
    await bench.pack.close_files()

    assert bench.writes(1) == 1
    assert bench.copy(0) == b""


async def test_a_request_that_goes_away_leaves_its_group_alone(bench: Bench) -> None:
    bench.hold(1, 2, 3)
    gone = bench.append(b"gone")
    stays = bench.append(b"stays")
    await until(lambda: bench.writes(1) == 1)
    gone.cancel()
    bench.release(1, 2, 3)

    await stored(stays)

    assert bench.pack.unsettled == 1


async def test_a_request_that_goes_away_before_its_group_is_sent_writes_nothing(
    bench: Bench,
) -> None:
    gone = bench.append(b"gone" * 100)
    stays = bench.append(b"stays")
    gone.cancel()

    result = await stored(stays)

    assert result.offset == 0
    assert [each.length for each in scan(bench.copy(0), SEGMENT)] == [5]


async def test_a_copy_that_fails_under_a_request_that_is_gone_stops_nobody_else(
    bench: Bench,
) -> None:
    bench.hold(1, 2, 3)
    gone = bench.append(b"gone")
    stays = bench.append(b"stays")
    await until(lambda: bench.writes(1) == 1)
    gone.cancel()
    bench.fleet.stores[2].failing = FAILURE
    bench.release(1, 2, 3)

    assert (await stored(stays)).copies == 2


async def test_a_pack_takes_no_more_than_its_capacity(time: FakeClock) -> None:
    bench = Bench()
    await bench.open(capacity=16384)

    await stored(bench.append(b"x" * 4096))

    assert bench.pack.takes(1000)
    assert not bench.pack.takes(8192)


async def test_an_empty_pack_takes_what_fills_it(time: FakeClock) -> None:
    bench = Bench()
    await bench.open(capacity=16384)

    assert bench.pack.takes(16384)


async def test_a_closed_pack_is_quiet_once_its_commits_are_settled(bench: Bench) -> None:
    result = await stored(bench.append(b"x"))
    bench.pack.close("stop")
    waiting = asyncio.create_task(bench.pack.quiet(3600))
    await until(lambda: bench.pack.confirmed == [4096] * 3)
    assert not waiting.done()

    result.settle()

    async with asyncio.timeout(30):
        await waiting


async def test_settling_twice_counts_once(bench: Bench) -> None:
    first = await stored(bench.append(b"x"))
    await stored(bench.append(b"y"))

    first.settle()
    first.settle()

    assert bench.pack.unsettled == 1


async def test_a_pack_that_closes_refuses_only_what_was_not_sent(bench: Bench) -> None:
    bench.hold(1, 2, 3)
    sent = bench.append(b"sent")
    await until(lambda: bench.writes(1) == 1)
    gathered = bench.append(b"gathered")
    bench.pack.close("stop")
    bench.release(1, 2, 3)

    with pytest.raises(SegmentClosed):
        await gathered
    assert (await stored(sent)).offset == 0


async def test_records_of_one_group_are_found_by_a_scan(bench: Bench) -> None:
    contents = [bytes([number]) * (number * 1000) for number in range(10)]
    answers = [bench.append(content) for content in contents]
    results = [await stored(answer) for answer in answers]

    found = list(scan(bench.copy(0), SEGMENT))

    assert [each.position for each in found] == [result.offset for result in results]
    assert [each.length for each in found] == [len(content) for content in contents]


async def test_a_large_payload_in_pieces_is_one_record(bench: Bench) -> None:
    pieces = [b"a" * 100_000, b"b" * 100_000, b"c" * 7]
    answer = bench.pack.append(VERSION.bytes, pieces, 200_007, 2)

    result = await stored(answer)

    record = bench.copy(0)[: record_length(200_007)]
    assert bytes(parse_record(record, SEGMENT, result.offset)) == b"".join(pieces)
    assert bench.pack.size == aligned(record_length(200_007), 4096)


async def test_a_copy_closed_early_is_a_prefix_of_the_others(bench: Bench, time: FakeClock) -> None:
    await stored(bench.append(b"one", quorum=3))
    bench.hold(2)
    await stored(bench.append(b"two"))
    time.advance(LAG_S)
    bench.timer.fire()
    await until(lambda: bench.pack.confirmed[2] == 8192)

    assert bench.pack.confirmed == [8192, 4096, 8192]
    assert bench.copy(0).startswith(bench.copy(1)[:4096])
    bench.release(2)
    await bench.pack.close_files()


async def test_an_append_nobody_answers_is_refused_when_the_files_are_closed(
    bench: Bench,
) -> None:
    bench.hold(2, 3)
    answer = bench.append(b"x")
    await until(lambda: bench.writes(3) == 1)
    bench.pack.close("stop")
    closing = asyncio.create_task(bench.pack.close_files())

    with pytest.raises(QuorumNotMet):
        await answer

    bench.release(2, 3)
    await closing
