"""One open pack segment whose copies fail or lag, or whose requests go away."""

import asyncio

import pytest

from core.errors import DriveFenced, QuorumNotMet, SegmentClosed
from storage_nodes.pack import STALL_S
from storage_nodes.pack_format import scan
from tests.support.clock import FakeClock
from tests.support.pack_bench import LAG_S, SEGMENT, PackBench, stored
from tests.support.segments import until

FAILURE = DriveFenced(drive="test")


@pytest.fixture
async def bench(time: FakeClock) -> PackBench:
    return await PackBench.opened()


async def test_a_copy_that_lags_is_closed_for_good(bench: PackBench, time: FakeClock) -> None:
    bench.hold(3)
    await stored(bench.append(b"x"))
    time.advance(LAG_S)
    bench.timer.fire()

    assert bench.pack.is_closing
    assert bench.bad == [3]
    bench.release(3)
    await bench.pack.close_files()
    assert bench.pack.confirmed == [4096, 4096, 0]


async def test_a_copy_that_is_late_but_not_yet_lagging_stays(
    bench: PackBench, time: FakeClock
) -> None:
    bench.hold(3)
    await stored(bench.append(b"x"))
    time.advance(LAG_S / 2)
    bench.timer.fire()

    assert not bench.pack.is_closing


async def test_lag_counts_from_the_quorum_not_from_the_request(
    bench: PackBench, time: FakeClock
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
    bench: PackBench, time: FakeClock
) -> None:
    bench.hold(2, 3)
    answer = bench.append(b"x")
    await until(lambda: bench.writes(3) == 1)
    time.advance(STALL_S)
    bench.timer.fire()

    with pytest.raises(QuorumNotMet):
        await answer
    assert bench.bad == [2, 3]


async def test_a_copy_that_fails_closes_the_pack_but_not_the_write(bench: PackBench) -> None:
    bench.fleet.stores[1].failing = FAILURE

    result = await stored(bench.append(b"x"))

    assert result.copies == 2
    await until(lambda: bench.pack.is_closing)
    assert bench.closings == 1
    assert not bench.pack.takes(1)


async def test_without_a_quorum_of_copies_an_append_fails(bench: PackBench) -> None:
    bench.fleet.stores[1].failing = FAILURE
    bench.fleet.stores[2].failing = FAILURE

    with pytest.raises(QuorumNotMet):
        await bench.append(b"x")


async def test_a_strict_append_fails_as_soon_as_one_copy_does(bench: PackBench) -> None:
    bench.hold(2)
    bench.fleet.stores[1].failing = FAILURE

    with pytest.raises(QuorumNotMet):
        await bench.append(b"x", quorum=3)


async def test_what_was_only_gathered_when_a_copy_failed_may_go_elsewhere(bench: PackBench) -> None:
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


async def test_a_copy_that_failed_never_gets_another_byte(bench: PackBench) -> None:
    bench.fleet.stores[1].failing = FAILURE
    await stored(bench.append(b"x"))
    await until(lambda: bench.pack.is_closing)

    bench.fleet.stores[1].failing = None
    await bench.pack.close_files()

    assert bench.writes(1) == 1
    assert bench.copy(0) == b""


async def test_a_request_that_goes_away_leaves_its_group_alone(bench: PackBench) -> None:
    bench.hold(1, 2, 3)
    gone = bench.append(b"gone")
    stays = bench.append(b"stays")
    await until(lambda: bench.writes(1) == 1)
    gone.cancel()
    bench.release(1, 2, 3)

    await stored(stays)

    assert bench.pack.unsettled == 1


async def test_a_request_that_goes_away_before_its_group_is_sent_writes_nothing(
    bench: PackBench,
) -> None:
    gone = bench.append(b"gone" * 100)
    stays = bench.append(b"stays")
    gone.cancel()

    result = await stored(stays)

    assert result.offset == 0
    assert [each.length for each in scan(bench.copy(0), SEGMENT)] == [5]


async def test_a_copy_that_fails_under_a_request_that_is_gone_stops_nobody_else(
    bench: PackBench,
) -> None:
    bench.hold(1, 2, 3)
    gone = bench.append(b"gone")
    stays = bench.append(b"stays")
    await until(lambda: bench.writes(1) == 1)
    gone.cancel()
    bench.fleet.stores[2].failing = FAILURE
    bench.release(1, 2, 3)

    assert (await stored(stays)).copies == 2


async def test_a_copy_closed_early_is_a_prefix_of_the_others(
    bench: PackBench, time: FakeClock
) -> None:
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
    bench: PackBench,
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
