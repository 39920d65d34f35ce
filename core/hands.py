"""A few threads that wait for the disk on behalf of one event loop.

What a `ThreadPoolExecutor` does for a coroutine, without the second future and its locks: half of
what the loop pays for a hop, and every durable write is three of them.

Promise: work is begun in the order in which it was asked for; what was asked for before `close` is
done; arguments are let go of as soon as the work is done, and not before, whoever still waits.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

Result = TypeVar("Result")
_Work = tuple[asyncio.Future[Any], Callable[..., Any], tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long work is waited for, and the error that says it was too long."""

    within_s: float
    error: Callable[[], Exception]


class Hands:
    """At most `count` threads, started when needed. Belongs to the loop that first asks.

    With `patience`, work that takes too long is waited for no more. It goes on all the same: what
    it was to do is unknown, and until it has come back nothing more is taken, so that threads and
    what they hold do not pile up behind a disk that hangs.
    """

    def __init__(self, count: int, name: str, patience: Patience | None = None) -> None:
        self._count = count
        self._name = name
        self._patience = patience
        # What was given up and has not come back.
        self._overdue: set[asyncio.Future[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        self._threads = 0
        # Counted on the loop's thread only.
        self._busy = 0
        self._is_closed = False

    def run(self, call: Callable[..., Result], *arguments: Any) -> asyncio.Future[Result]:
        """The result of a blocking call, to be awaited. RuntimeError once closed, the error of
        impatience while something is overdue.
        """
        if self._is_closed:
            raise RuntimeError("these threads have been let go")
        if self._patience is not None and self._overdue:
            raise self._patience.error()
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        answer: asyncio.Future[Result] = self._loop.create_future()
        self._busy += 1
        self._work.put((answer, call, arguments))
        if self._busy > self._threads and self._threads < self._count:
            self._threads += 1
            serving = threading.Thread(
                target=self._serve, args=(self._loop,), name=self._name, daemon=True
            )
            serving.start()
        if self._patience is not None:
            timer = self._loop.call_later(self._patience.within_s, self._give_up, answer)
            answer.add_done_callback(lambda _: timer.cancel())
        return answer

    @property
    def is_overdue(self) -> bool:
        """Whether something was waited for in vain and has still not come back."""
        return bool(self._overdue)

    def close(self) -> None:
        """Let the threads go when they have done what was asked for. Does not wait."""
        self._is_closed = True
        for _ in range(self._threads):
            self._work.put(None)

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        take, tell = self._work.get, loop.call_soon_threadsafe
        while (work := take()) is not None:
            answer, call, arguments = work
            try:
                result = call(*arguments)
            except BaseException as why:
                outcome: tuple[Any, ...] = (self._failed, answer, why)
            else:
                outcome = (self._done, answer, result)
                del result
            # A descriptor among the arguments is closed when nobody holds it any more.
            del work, call, arguments
            try:
                tell(*outcome)
            except RuntimeError:
                return  # the loop has been closed: nobody waits
            del answer, outcome

    def _give_up(self, answer: asyncio.Future[Any]) -> None:
        assert self._patience is not None
        if not answer.done():
            self._overdue.add(answer)
            answer.set_exception(self._patience.error())

    def _done(self, answer: asyncio.Future[Any], result: Any) -> None:
        self._busy -= 1
        if not answer.done():
            answer.set_result(result)
        else:
            self._overdue.discard(answer)

    def _failed(self, answer: asyncio.Future[Any], why: BaseException) -> None:
        self._busy -= 1
        if not answer.done():
            answer.set_exception(why)
        else:
            self._overdue.discard(answer)
