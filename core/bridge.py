"""Between the two worlds: synchronous code that needs the async data path.

One loop thread per process, started on first use and therefore after any fork. Job handlers and
commands come through here; nothing else mixes the worlds.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
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


def stop() -> None:
    """End the loop thread of this process, if there is one."""
    global _loop
    with _lock:
        running, _loop = _loop, None
        if running is not None and _pid == os.getpid():
            running.call_soon_threadsafe(running.stop)


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
