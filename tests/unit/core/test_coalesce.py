"""Coalescing: who travels with whom, and what happens to whom when something fails."""

from __future__ import annotations

import asyncio

import pytest

from core.coalesce import Coalescer
from core.errors import NoSuchKey, SlowDown


class Road:
    """A send function that holds each batch until it is let through."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gates: list[asyncio.Future[None]] = []
        self.sent = asyncio.Condition()

    async def send(self, items: list[int]) -> list[int | BaseException]:
        gate = asyncio.get_running_loop().create_future()
        self.batches.append(items)
        self.gates.append(gate)
        async with self.sent:
            self.sent.notify_all()
        await gate
        return [NoSuchKey(key=str(i)) if i < 0 else i * 10 for i in items]

    async def until(self, batches: int) -> None:
        async with self.sent:
            await self.sent.wait_for(lambda: len(self.gates) >= batches)

    def open(self, index: int) -> None:
        self.gates[index].set_result(None)


@pytest.fixture
def road() -> Road:
    return Road()


async def test_one_caller_alone_waits_for_nobody(road: Road) -> None:
    asked = Coalescer(road.send, max_batch=8, lanes=1).ask(1)
    await road.until(1)
    road.open(0)

    assert await asked == 10


async def test_callers_of_one_turn_travel_together(road: Road) -> None:
    coalescer = Coalescer(road.send, max_batch=8, lanes=1)
    asked = [coalescer.ask(i) for i in (1, 2, 3)]
    await road.until(1)
    road.open(0)

    assert await asyncio.gather(*asked) == [10, 20, 30]
    assert road.batches == [[1, 2, 3]]


async def test_callers_of_the_next_turn_join_whenever_a_lane_is_free(road: Road) -> None:
    coalescer = Coalescer(road.send, max_batch=8, lanes=1)
    loop = asyncio.get_running_loop()
    asked = [coalescer.ask(1)]
    loop.call_soon(lambda: asked.append(coalescer.ask(2)))
    await road.until(1)
    asked.append(coalescer.ask(3))
    asked[0].add_done_callback(lambda _: asked.append(coalescer.ask(4)))
    road.open(0)
    await road.until(2)
    road.open(1)

    async with asyncio.timeout(5):
        assert await asyncio.gather(*asked) == [10, 20, 30, 40]
    assert road.batches == [[1, 2], [3, 4]]


async def test_nobody_joins_a_batch_that_was_sent(road: Road) -> None:
    coalescer = Coalescer(road.send, max_batch=8, lanes=1)
    first = coalescer.ask(1)
    await road.until(1)
    second, third = coalescer.ask(2), coalescer.ask(3)
    road.open(0)
    await road.until(2)
    road.open(1)

    assert await asyncio.gather(first, second, third) == [10, 20, 30]
    assert road.batches == [[1], [2, 3]]


async def test_a_second_lane_does_not_wait_for_the_first(road: Road) -> None:
    coalescer = Coalescer(road.send, max_batch=8, lanes=2)
    first = coalescer.ask(1)
    await road.until(1)
    second = coalescer.ask(2)
    await road.until(2)
    road.open(1)

    assert await second == 20
    assert not first.done()
    road.open(0)
    await first


async def test_a_batch_has_a_limit(road: Road) -> None:
    coalescer = Coalescer(road.send, max_batch=2, lanes=1)
    asked = [coalescer.ask(i) for i in range(5)]
    for index in range(3):
        await road.until(index + 1)
        road.open(index)
    await asyncio.gather(*asked)

    assert road.batches == [[0, 1], [2, 3], [4]]


async def test_groups_are_served_in_turn(road: Road) -> None:
    coalescer = Coalescer(road.send, max_batch=4, lanes=1)
    asked = [coalescer.ask(i, group="loud") for i in range(6)]
    asked += [coalescer.ask(100, group="quiet")]
    await road.until(1)
    road.open(0)
    await road.until(2)
    road.open(1)
    await asyncio.gather(*asked)

    assert 100 in road.batches[0]


async def test_an_answer_that_is_an_error_reaches_its_caller_alone(road: Road) -> None:
    coalescer = Coalescer(road.send, max_batch=8, lanes=1)
    good, bad = coalescer.ask(1), coalescer.ask(-1)
    await road.until(1)
    road.open(0)

    assert await good == 10
    with pytest.raises(NoSuchKey):
        await bad


async def test_a_failed_batch_fails_all_its_callers(road: Road) -> None:
    coalescer = Coalescer(road.send, max_batch=8, lanes=1)
    asked = [coalescer.ask(i) for i in (1, 2)]
    await road.until(1)
    road.gates[0].set_exception(OSError("gone"))

    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in found] == [OSError, OSError]


async def test_a_lane_goes_on_after_a_failed_batch(road: Road) -> None:
    coalescer = Coalescer(road.send, max_batch=8, lanes=1)
    first = coalescer.ask(1)
    await road.until(1)
    road.gates[0].set_exception(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        await first
    second = coalescer.ask(2)
    await road.until(2)
    road.open(1)

    assert await second == 20


async def test_a_caller_that_went_away_is_not_sent(road: Road) -> None:
    coalescer = Coalescer(road.send, max_batch=8, lanes=1)
    first = coalescer.ask(1)
    await road.until(1)
    gone, stays = coalescer.ask(2), coalescer.ask(3)
    gone.cancel()
    road.open(0)
    await road.until(2)
    road.open(1)

    assert await first == 10
    assert await stays == 30
    assert road.batches[1] == [3]


async def test_too_many_waiting_are_told_to_slow_down(road: Road) -> None:
    coalescer = Coalescer(road.send, max_batch=1, lanes=1, max_waiting=1)
    first = coalescer.ask(1)
    await road.until(1)
    second = coalescer.ask(2)

    with pytest.raises(SlowDown):
        coalescer.ask(3)

    road.open(0)
    await road.until(2)
    road.open(1)
    await asyncio.gather(first, second)


async def test_draining_waits_for_what_was_begun(road: Road) -> None:
    coalescer = Coalescer(road.send, max_batch=1, lanes=1)
    asked = coalescer.ask(1)
    draining = asyncio.ensure_future(coalescer.drain())
    await road.until(1)
    assert not draining.done()
    road.open(0)
    await draining

    assert asked.done()
