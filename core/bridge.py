"""Between the two worlds: synchronous code that needs the async data path.

One loop thread per process, started on first use and therefore after any fork. REST bodies, job
handlers and commands come through here; nothing else mixes the worlds.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

import uvloop

from core.errors import DeadlineExceeded

Result = TypeVar("Result")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_pid = 0


def loop() -> asyncio.AbstractEventLoop:
    """The process's loop, running in its thread."""
    global _loop, _pid
    with _lock:
        if _loop is None or _pid != os.getpid() or _loop.is_closed():
            _loop, _pid = uvloop.new_event_loop(), os.getpid()
            threading.Thread(target=_run_forever, args=(_loop,), name="bridge", daemon=True).start()
        return _loop


def run(work: Coroutine[Any, Any, Result], timeout_s: float | None = None) -> Result:
    """The result of `work`, waited for in this thread; cancelled and `DeadlineExceeded` when it
    takes longer.
    """
    future = asyncio.run_coroutine_threadsafe(work, loop())
    return _await(future, timeout_s)


def stream(
    open_: Callable[[], AsyncIterator[bytes]], *, depth: int = 4, timeout_s: float | None = 60.0
) -> Iterator[bytes]:
    """The pieces of an async iterator, at most `depth` of them ahead of this thread.

    Closing the iterator cancels the source and waits until it has cleaned up.
    """
    pieces: queue.Queue[tuple[bytes | None, BaseException | None]] = queue.Queue()
    source = loop()
    room = _Room(source, depth)

    async def pump() -> None:
        error: BaseException | None = None
        try:
            async for piece in open_():
                await room.enter()
                pieces.put((piece, None))
        except BaseException as why:
            error = why
        pieces.put((None, error))

    future = asyncio.run_coroutine_threadsafe(pump(), source)
    try:
        while True:
            try:
                piece, error = pieces.get(timeout=timeout_s)
            except queue.Empty:
                raise DeadlineExceeded() from None
            if error is not None:
                raise error
            if piece is None:
                return
            room.leave()
            yield piece
    finally:
        future.cancel()


def stop() -> None:
    """End the loop thread of this process, if there is one."""
    global _loop
    with _lock:
        running, _loop = _loop, None
        if running is not None and _pid == os.getpid():
            running.call_soon_threadsafe(running.stop)


class _Room:
    """A counting gate the loop waits at and another thread opens."""

    def __init__(self, source: asyncio.AbstractEventLoop, depth: int) -> None:
        self._source = source
        self._gate = asyncio.Semaphore(depth)

    async def enter(self) -> None:
        await self._gate.acquire()

    def leave(self) -> None:
        self._source.call_soon_threadsafe(self._gate.release)


def _await(future: Future[Result], timeout_s: float | None) -> Result:
    try:
        return future.result(timeout_s)
    except TimeoutError:
        if future.done():
            raise  # the work's own
        future.cancel()
        raise DeadlineExceeded() from None
    except CancelledError:
        raise DeadlineExceeded("The work was cancelled.") from None
    except BaseException:
        future.cancel()
        raise


def _run_forever(running: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(running)
    try:
        running.run_forever()
    finally:
        running.close()
