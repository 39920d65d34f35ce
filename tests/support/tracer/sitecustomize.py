"""Writes down what a process makes durable, and when: put on PYTHONPATH by the test of sync
order.

Python runs this before anything else. The calls go on to the kernel as they are; each one that
returned becomes a line in `$SYNC_TRACE/<pid>`: call, device, inode, offset, length, begin and end
in nanoseconds of the wall clock, which is PostgreSQL's clock too. The store's own root must be on
PYTHONPATH as well: what goes through a ring is no call of `os`.
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable
from typing import Any

_folder = os.environ.get("SYNC_TRACE")
_fds: dict[int, int] = {}


def _note(call: str, fd: int, began: int, offset: int = 0, length: int = 0) -> None:
    pid = os.getpid()
    if pid not in _fds:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        _fds[pid] = os.open(f"{_folder}/{pid}", flags, 0o600)
    found = os.fstat(fd)
    line = [call, found.st_dev, found.st_ino, offset, length, began, time.time_ns()]
    os.write(_fds[pid], (json.dumps(line) + "\n").encode())


def _syncing(call: str, real: Callable[[int], None]) -> Callable[[int], None]:
    @functools.wraps(real)
    def traced(fd: int) -> None:
        began = time.time_ns()
        real(fd)
        _note(call, fd, began)

    return traced


def _writing(real: Callable[..., int]) -> Callable[..., int]:
    @functools.wraps(real)
    def traced(fd: int, given: Any, offset: int, *rest: Any) -> int:
        began = time.time_ns()
        length = real(fd, given, offset, *rest)
        is_durable = bool(rest and rest[0] & os.RWF_DSYNC)
        _note("durable write" if is_durable else "write", fd, began, offset, length)
        return length

    return traced


def _asking(real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def traced(ring: Any, fd: int, offset: int, buffers: Any, flags: int, held: Any) -> Any:
        began = time.time_ns()
        answer = real(ring, fd, offset, buffers, flags, held)
        if answer is None:
            return None
        call = "durable write" if flags & os.RWF_DSYNC else "write"

        def note(done: Any, held: Any = held) -> None:
            if not done.cancelled() and done.exception() is None:
                _note(call, fd, began, offset, done.result())

        # Told before whoever asked hears of it: callbacks keep their order.
        answer.add_done_callback(note)
        return answer

    return traced


def _linking(real: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(real)
    def traced(source: Any, target: Any, **places: Any) -> None:
        began = time.time_ns()
        real(source, target, **places)
        folder = places.get("dst_dir_fd")
        if folder is not None:
            _note("link", folder, began)

    return traced


if _folder:
    from core.ring import Ring

    Ring.write = _asking(Ring.write)  # type: ignore[method-assign]  # that is what a tracer does
    os.fsync = _syncing("fsync", os.fsync)
    os.fdatasync = _syncing("fdatasync", os.fdatasync)
    os.pwrite = _writing(os.pwrite)
    os.pwritev = _writing(os.pwritev)
    os.link = _linking(os.link)
