"""A job of four units, whose worker can be killed after any of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from jobs.step import Step
from tests.support.work import age
from workers.context import Context
from workers.dispatcher import Dispatcher
from workers.runner import Pace

# Save and look between any two steps.
EACH_STEP = Pace(save_every_s=0.0, look_every_s=0.0)
NEVER = Pace(save_every_s=1e9, look_every_s=1e9)
UNITS = 4


class Killed(BaseException):
    """What SIGKILL looks like from inside: nothing of ours catches it."""


class Units:
    """A handler that does four units, each idempotent, and can be stopped after any of them;
    `after_two` is done when there are two.
    """

    def __init__(self, after_two: Callable[[Context], object] | None = None) -> None:
        self.effects: list[int] = []
        self.stop_after: int | None = None
        self.starts: list[Any] = []
        self._after_two = after_two

    def __call__(self, subject: str, cursor: Any, context: Context) -> Iterator[Step]:
        self.starts.append(cursor)
        for unit in range(cursor or 0, UNITS):
            self.effects.append(unit)
            if unit == self.stop_after:
                raise Killed
            if unit == 1 and self._after_two is not None:
                self._after_two(context)
            yield Step(done=unit + 1, total=UNITS, cursor=unit + 1)


def vanish(job_id: Any) -> None:
    """The worker is gone and its lease runs out; the sweep notices."""
    age("lease_until", job_id, 1)
    Dispatcher(send=lambda batch: None, lying=lambda _: []).sweep()
