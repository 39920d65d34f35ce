"""Asking several drives and taking the answers that come first.

Here: when to start a further attempt (one failed, or none answered within the hedge), and what a
usual answer takes. Not here: what an attempt does, or what makes an answer valid.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from core import metrics
from core.errors import NotEnoughShards, StaleEpoch, StoreError

Key = TypeVar("Key")
T = TypeVar("T")

MIN_HEDGE_S = 0.05
_SAMPLES = 128


class Pace:
    """What reads usually take here, and so from when on a read is slow.

    Beyond the 95th percentile of the last ones; but when a minority of drives is slow they must not
    set the pace for all, so never beyond four times the median.
    """

    def __init__(self, min_hedge_s: float = MIN_HEDGE_S) -> None:
        self._min_hedge_s = max(min_hedge_s, MIN_HEDGE_S)
        self._samples: deque[float] = deque(maxlen=_SAMPLES)
        self._since = 0
        self.hedge_s = self._min_hedge_s

    def add(self, seconds: float) -> None:
        """A read took so long."""
        self._samples.append(seconds)
        self._since += 1
        # Sorting is dearer than a read's book-keeping should be: once per so many.
        if self._since >= _SAMPLES // 4:
            self._since = 0
            ordered = sorted(self._samples)
            usual, slow = ordered[len(ordered) // 2], ordered[len(ordered) * 95 // 100]
            self.hedge_s = max(self._min_hedge_s, min(slow, 4 * usual))

    def late(self) -> None:
        """A read was not waited for: how long it would have taken is not known, but longer."""
        self.add(2 * self.hedge_s)


async def first_answers(
    wanted: int,
    attempts: Iterable[tuple[Key, Callable[[], Awaitable[T]]]],
    *,
    pace: Pace | None,
) -> dict[Key, T]:
    """The first `wanted` answers by their keys.

    Starts as many attempts; another one for each that fails, and whenever none answers at the usual
    `pace` (None: wait). NotEnoughShards when too few can succeed; StaleEpoch ends everything.
    What is still under way at the end is cancelled.
    """
    waiting = iter(attempts)
    running: dict[asyncio.Future[T], Key] = {}
    answers: dict[Key, T] = {}
    reason: BaseException | None = None

    def start() -> bool:
        for key, attempt in waiting:
            running[asyncio.ensure_future(attempt())] = key
            return True
        return False

    try:
        for _ in range(wanted):
            start()
        may_hedge = True
        while len(answers) < wanted:
            if len(answers) + len(running) < wanted:
                raise NotEnoughShards(have=len(answers), needed=wanted) from reason
            timeout = pace.hedge_s if pace is not None and may_hedge else None
            done, _ = await asyncio.wait(
                running, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                may_hedge = start()
                if may_hedge:
                    metrics.hedged_reads.add()
                if pace is not None:
                    pace.late()
            for task in done:
                key = running.pop(task)
                try:
                    answers[key] = task.result()
                except StaleEpoch:
                    raise
                except (StoreError, OSError) as why:
                    reason = why
                    start()
        return answers
    finally:
        for task in running:
            task.add_done_callback(_retrieved)
            task.cancel()


def _retrieved(task: "asyncio.Future[T]") -> None:
    if not task.cancelled():
        task.exception()
