"""Writes that no thread waits for: io_uring(7), for one event loop.

A thread that writes on behalf of the loop takes the interpreter's lock away from it twice, and each
time several threads are woken; a write asked for here costs the loop two system calls. Threads of
the kernel do it: they need no lock of Python's, and may wait for as long as a drive lets them.

Here: asking for writes and telling how they ended. Not here: what an error means for a drive
(`storage_nodes.node.disk`), the threads that do what this cannot (`hands`).

Promise: descriptor and buffers are held until the kernel is done with them, whoever still waits.
Structures and numbers: linux/io_uring.h. They are spelled out because no package wraps them that
runs on the kernels this store runs on.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from collections.abc import Sequence
from contextlib import ExitStack
from mmap import MAP_POPULATE, MAP_SHARED, mmap

Buffer = bytes | bytearray | memoryview

# With the interpreter's lock kept: none of these calls waits, and letting go of it costs more.
_syscall = ctypes.PyDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long
_syscall.argtypes = [ctypes.c_long] * 7
_SETUP, _ENTER, _REGISTER = 425, 426, 427  # the same on every architecture

# One thread asks, and what was done is told when it looks, never in between (Linux 6.1).
_SETUP_FLAGS = 1 << 12 | 1 << 13  # IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN
_GETEVENTS = 1
_EVENTFD, _IOWQ_MAX_WORKERS = 4, 19
_WRITEV = 2
# Not even tried before a thread of the kernel has it (IOSQE_ASYNC): what is said not to wait does,
# on a drive whose device hangs (a file's times, a full queue), and the loop with it.
_ASYNC = 1 << 4
_OFFSET_OF_ENTRIES = 0x10000000

_ENTRY = struct.Struct("<BBHiQQIIQ24x")  # operation .. fd offset address length flags number
_DONE = struct.Struct("<QiI")  # number result flags
_U32 = struct.Struct("<I")
_VECTOR = struct.Struct("@PN")  # address length
_WRAP = 0xFFFFFFFF

# Writes under way at once. As many threads of the kernel may wait for them: those of a drive that
# hangs never keep the others' from being done.
ENTRIES = 128
# Buffers one write takes (IOV_MAX).
_MAX_BUFFERS = 1024


class Ring:
    """Belongs to the loop and the thread in which `open` made it."""

    def __init__(self, entries: int) -> None:
        """OSError when the kernel gives none."""
        told = (ctypes.c_uint32 * 30)()
        told[2] = _SETUP_FLAGS
        with ExitStack() as given:
            self._fd = _call(_SETUP, entries, ctypes.addressof(told))
            given.callback(os.close, self._fd)
            self._map(told, given)
            self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            given.callback(os.close, self._event)
            self._register(_EVENTFD, self._event)
            self._register(_IOWQ_MAX_WORKERS, entries, 0)
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._event, self._reap)
            given.callback(self._loop.remove_reader, self._event)
            self._given = given.pop_all()
        self._tail = 0  # of what was asked for
        self._head = 0  # of what was told
        # What is under way, by its number: who waits for it and what the kernel works with.
        self._live: dict[int, tuple[asyncio.Future[int], object]] = {}
        self._number = 0
        self._is_closed = False

    @classmethod
    def open(cls, entries: int = ENTRIES) -> Ring | None:
        """One for the running loop; None where kernel or sandbox gives none."""
        try:
            return cls(entries)
        except OSError:
            return None

    def write(
        self, fd: int, offset: int, buffers: Sequence[Buffer], flags: int, held: object = None
    ) -> asyncio.Future[int] | None:
        """pwritev2(2): how many bytes were written, or an OSError.

        None when this write cannot be asked for here: the ring is closed or full, or a buffer is
        empty or read-only and tells no address. `held` is let go of when the kernel is done.
        """
        if self._is_closed or len(self._live) > self._last_entry or len(buffers) > _MAX_BUFFERS:
            return None
        try:
            places = [ctypes.c_char.from_buffer(buffer) for buffer in buffers]
        except (TypeError, ValueError):
            return None
        vector = ctypes.create_string_buffer(_VECTOR.size * len(places))
        for at, (place, buffer) in enumerate(zip(places, buffers, strict=True)):
            _VECTOR.pack_into(vector, at * _VECTOR.size, ctypes.addressof(place), len(buffer))
        tail = self._tail
        entry = (tail & self._last_entry) * _ENTRY.size
        start, count = ctypes.addressof(vector), len(places)
        number = self._number = self._number + 1
        # Held before the kernel knows of it, whatever happens in between.
        answer: asyncio.Future[int] = self._loop.create_future()
        self._live[number] = answer, (vector, places, held)
        _ENTRY.pack_into(
            self._entries, entry, _WRITEV, _ASYNC, 0, fd, offset, start, count, flags, number
        )
        self._tail = (tail + 1) & _WRAP
        _U32.pack_into(self._rings, self._tail_at, self._tail)
        if _syscall(_ENTER, self._fd, 1, 0, 0, 0, 0) != 1:
            self._tail = tail
            _U32.pack_into(self._rings, self._tail_at, tail)
            del self._live[number]
            return None
        return answer

    def close(self) -> None:
        """Take nothing more. What is under way is still done and told."""
        self._is_closed = True
        if not self._live:
            self._given.close()

    def _map(self, told: ctypes.Array[ctypes.c_uint32], given: ExitStack) -> None:
        """The memory shared with the kernel (struct io_uring_params)."""
        entries, results = told[0], told[1]
        _, self._tail_at, *_ = told[10:20]
        array_at = told[16]
        self._head_at, self._done_tail_at, *_ = told[20:30]
        self._done_at = told[25]
        size = max(array_at + entries * _U32.size, self._done_at + results * _DONE.size)
        shared = MAP_SHARED | MAP_POPULATE
        self._rings = given.enter_context(mmap(self._fd, size, shared))
        self._entries = given.enter_context(
            mmap(self._fd, entries * _ENTRY.size, shared, offset=_OFFSET_OF_ENTRIES)
        )
        for at in range(entries):
            _U32.pack_into(self._rings, array_at + at * _U32.size, at)
        self._last_entry, self._last_result = entries - 1, results - 1

    def _register(self, what: int, *numbers: int) -> None:
        given = (ctypes.c_uint32 * len(numbers))(*numbers)
        _call(_REGISTER, self._fd, what, ctypes.addressof(given), len(numbers))

    def _reap(self) -> None:
        """Tell how writes ended. The kernel tells some at a time, and wakes the event each time."""
        os.eventfd_read(self._event)
        _syscall(_ENTER, self._fd, 0, 0, _GETEVENTS, 0, 0)
        (tail,) = _U32.unpack_from(self._rings, self._done_tail_at)
        while self._head != tail:
            at = self._done_at + (self._head & self._last_result) * _DONE.size
            number, result, _ = _DONE.unpack_from(self._rings, at)
            self._head = (self._head + 1) & _WRAP
            answer, _ = self._live.pop(number)
            if answer.done():
                continue
            if result < 0:
                answer.set_exception(OSError(-result, os.strerror(-result)))
            else:
                answer.set_result(result)
        _U32.pack_into(self._rings, self._head_at, tail)
        if self._is_closed and not self._live:
            self._given.close()


def _call(number: int, *arguments: int) -> int:
    result = _syscall(number, *arguments, *[0] * (6 - len(arguments)))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(result)
