"""Threads for blocking calls: order, errors, bounds, and what they let go of."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest

from core.errors import NodeUnreachable
from core.hands import Hands, Patience
from tests.support.nodes import eventually

SOON_S = 0.05
WITHIN_S = 10.0


@pytest.fixture
async def one() -> Hands:
    return Hands(1, "one")


async def test_a_result_comes_back(one: Hands) -> None:
    assert await one.run(lambda left, right: left + right, 2, 3) == 5
    one.close()


def test_they_may_be_made_before_there_is_a_loop() -> None:
    made = Hands(1, "early")

    async def ask() -> int:
        return await made.run(int)

    assert asyncio.run(ask()) == 0
    made.close()


async def test_an_error_comes_back(one: Hands) -> None:
    with pytest.raises(OSError, match="the disk is gone"):
        await one.run(_fail)
    assert await one.run(int) == 0
    one.close()


async def test_work_is_done_elsewhere_and_in_order(one: Hands) -> None:
    done: list[int] = []
    threads: set[int] = set()

    def note(number: int) -> None:
        done.append(number)
        threads.add(threading.get_ident())

    await asyncio.gather(*(one.run(note, number) for number in range(20)))

    assert done == list(range(20))
    assert len(threads) == 1
    assert threading.get_ident() not in threads
    one.close()


async def test_no_more_threads_are_started_than_are_needed() -> None:
    hands = Hands(3, "three")
    gate = threading.Event()
    first = hands.run(gate.wait)
    assert _alive("three") == 1
    more = [hands.run(gate.wait) for _ in range(5)]
    assert _alive("three") == 3
    gate.set()
    await asyncio.gather(first, *more)
    hands.close()


async def test_work_nobody_waits_for_any_more_is_done_all_the_same(one: Hands) -> None:
    gate = threading.Event()
    done = threading.Event()
    waiting = one.run(gate.wait)
    given_up = one.run(done.set)
    given_up.cancel()
    gate.set()
    await waiting
    await one.run(int)
    assert done.is_set()
    one.close()


async def test_arguments_are_let_go_of_when_the_work_is_done(one: Hands) -> None:
    class Held:
        pass

    held = Held()
    seen = weakref.ref(held)
    await one.run(lambda _: None, held)
    del held
    await one.run(int)  # the thread has come round
    assert seen() is None
    one.close()


async def test_what_was_asked_for_before_closing_is_done(one: Hands) -> None:
    gate = threading.Event()
    asked = [one.run(gate.wait), one.run(int)]
    one.close()
    with pytest.raises(RuntimeError):
        one.run(int)
    gate.set()
    assert await asyncio.gather(*asked) == [True, 0]


def impatient(count: int, name: str) -> Hands:
    return Hands(count, name, Patience(within_s=SOON_S, error=NodeUnreachable))


async def test_work_that_takes_too_long_is_not_waited_for() -> None:
    hands = impatient(1, "impatient")
    gate = threading.Event()

    async with asyncio.timeout(WITHIN_S):
        with pytest.raises(NodeUnreachable):
            await hands.run(gate.wait)

    assert hands.is_overdue
    gate.set()
    hands.close()


async def test_nothing_piles_up_behind_work_that_was_given_up() -> None:
    hands = impatient(3, "piled")
    gate = threading.Event()
    with pytest.raises(NodeUnreachable):
        await hands.run(gate.wait)
    begun: list[int] = []

    for number in range(20):
        with pytest.raises(NodeUnreachable):
            await hands.run(begun.append, number)

    assert _alive("piled") == 1
    gate.set()
    await _back(hands)
    assert begun == []
    hands.close()


async def test_others_hands_are_not_held_up() -> None:
    hung, well = impatient(1, "hung"), impatient(1, "well")
    gate = threading.Event()
    with pytest.raises(NodeUnreachable):
        await hung.run(gate.wait)

    assert await well.run(int) == 0

    gate.set()
    hung.close()
    well.close()


@pytest.mark.parametrize("fails", [False, True])
async def test_work_is_taken_again_once_what_was_given_up_has_come_back(*, fails: bool) -> None:
    hands = impatient(1, "back")
    gate = threading.Event()

    def wait() -> None:
        gate.wait()
        if fails:
            _fail()

    with pytest.raises(NodeUnreachable):
        await hands.run(wait)
    gate.set()
    await _back(hands)

    assert await hands.run(int) == 0
    hands.close()


async def test_arguments_stay_for_as_long_as_the_work_that_was_given_up() -> None:
    class Held:
        pass

    hands = impatient(1, "holding")
    gate = threading.Event()
    held = Held()
    seen = weakref.ref(held)
    with pytest.raises(NodeUnreachable):
        await hands.run(lambda _: gate.wait(), held)
    del held
    gc.collect()
    assert seen() is not None

    gate.set()
    await _back(hands)
    await hands.run(int)
    assert seen() is None
    hands.close()


async def test_quick_work_leaves_no_timer_behind() -> None:
    hands = impatient(1, "quick")
    answer = hands.run(int)
    assert await answer == 0

    await asyncio.sleep(2 * SOON_S)

    assert not hands.is_overdue
    assert await hands.run(int) == 0
    hands.close()


async def _back(hands: Hands) -> None:
    async def overdue() -> bool:
        return hands.is_overdue

    await eventually(overdue, answer=False)


def _fail() -> None:
    raise OSError("the disk is gone")


def _alive(name: str) -> int:
    return sum(thread.name == name for thread in threading.enumerate())
