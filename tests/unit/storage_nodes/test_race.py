"""Which attempts are begun, and when the answers are enough."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from core.errors import NotEnoughShards, ShardMissing, StaleEpoch
from storage_nodes.race import MIN_HEDGE_S, Pace, first_answers


class Attempts:
    """Numbered attempts: some answer, some fail, some never come to an end."""

    def __init__(self, **outcomes: str) -> None:
        self.begun: list[str] = []
        self.cancelled: list[str] = []
        self._outcomes = outcomes

    def __iter__(self) -> Iterator[tuple[str, Callable[[], Awaitable[str]]]]:
        for name in self._outcomes:
            yield name, lambda name=name: self._run(name)  # type: ignore[misc]  # a bound default

    async def _run(self, name: str) -> str:
        self.begun.append(name)
        outcome = self._outcomes[name]
        if outcome == "fails":
            raise ShardMissing
        if outcome == "stale":
            raise StaleEpoch
        if outcome == "hangs":
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.append(name)
                raise
        return outcome


def impatient() -> Pace:
    pace = Pace()
    pace.hedge_s = 0.001
    return pace


async def test_no_more_is_begun_than_wanted_when_all_goes_well() -> None:
    attempts = Attempts(a="1", b="2", c="3")

    answers = await first_answers(2, attempts, pace=None)

    assert answers == {"a": "1", "b": "2"}
    assert attempts.begun == ["a", "b"]


async def test_a_failure_is_made_up_for_by_the_next() -> None:
    attempts = Attempts(a="fails", b="2", c="3", d="4")

    assert await first_answers(2, attempts, pace=None) == {"b": "2", "c": "3"}


async def test_too_few_answers_are_an_error() -> None:
    with pytest.raises(NotEnoughShards):
        await first_answers(2, Attempts(a="fails", b="2", c="fails"), pace=None)


async def test_one_that_hangs_is_hedged_and_cancelled() -> None:
    attempts = Attempts(a="hangs", b="2")

    assert await first_answers(1, attempts, pace=impatient()) == {"b": "2"}

    await asyncio.sleep(0)
    assert attempts.cancelled == ["a"]


async def test_without_a_hedge_nothing_more_is_begun() -> None:
    attempts = Attempts(a="1", b="2")

    await first_answers(1, attempts, pace=None)

    assert attempts.begun == ["a"]


async def test_a_stale_location_ends_everything() -> None:
    attempts = Attempts(a="hangs", b="stale", c="3")

    with pytest.raises(StaleEpoch):
        await first_answers(2, attempts, pace=None)


async def test_whoever_goes_away_takes_the_attempts_along() -> None:
    attempts = Attempts(a="hangs")
    racing = asyncio.create_task(first_answers(1, attempts, pace=None))
    while not attempts.begun:  # noqa: ASYNC110 (a list: there is nothing to await)
        await asyncio.sleep(0)

    racing.cancel()
    await asyncio.wait([racing])
    await asyncio.sleep(0)

    assert attempts.cancelled == ["a"]


def test_hedging_begins_no_earlier_than_the_minimum() -> None:
    pace = Pace()
    for _ in range(200):
        pace.add(0.001)

    assert pace.hedge_s == MIN_HEDGE_S


def test_hedging_follows_the_slowest_reads_of_many() -> None:
    pace = Pace()
    for number in range(200):
        pace.add(0.09 if number % 10 == 0 else 0.03)

    assert pace.hedge_s == 0.09


def test_a_minority_of_slow_drives_does_not_set_the_pace() -> None:
    pace = Pace()
    for number in range(200):
        pace.add(2.0 if number % 3 == 0 else 0.01)

    assert pace.hedge_s == MIN_HEDGE_S


def test_where_every_read_is_slow_patience_grows() -> None:
    pace = Pace()
    for _ in range(200):
        pace.late()

    assert pace.hedge_s > 4 * MIN_HEDGE_S
