"""Threads for blocking calls: order, errors, bounds, and what they let go of."""

from __future__ import annotations

import asyncio
import threading
import weakref

import pytest

from core.hands import Hands


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


def _fail() -> None:
    raise OSError("the disk is gone")


def _alive(name: str) -> int:
    return sum(thread.name == name for thread in threading.enumerate())
