"""Writes that no thread waits for: results, errors, and what is held until the kernel is done."""

from __future__ import annotations

import asyncio
import gc
import os
import weakref
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from core.ring import Ring
from tests.support.nodes import wait_until
from tests.support.segments import until


@pytest.fixture
async def ring() -> AsyncIterator[Ring]:
    made = Ring.open(entries=4)
    if made is None:
        pytest.skip("this kernel or sandbox gives no io_uring")
    yield made
    made.close()


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield opened
    os.close(opened)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe that takes nothing more before somebody reads."""
    ends = os.pipe()
    os.set_blocking(ends[1], False)
    try:
        while True:
            os.write(ends[1], bytes(4096))
    except BlockingIOError:
        os.set_blocking(ends[1], True)
    yield ends
    for end in ends:
        os.close(end)


class Held:
    """What somebody may look away from."""


def asked(
    ring: Ring, fd: int, content: bytes, held: object = None, *, at: int = 0
) -> asyncio.Future[int]:
    answer = ring.write(fd, at, [bytearray(content)], 0, held)
    assert answer is not None
    return answer


def drain(end: int) -> None:
    os.set_blocking(end, False)
    try:
        while os.read(end, 1 << 20):
            pass
    except BlockingIOError:
        return


@pytest.mark.parametrize("flags", [0, os.RWF_DSYNC])
async def test_buffers_are_written_one_behind_the_other(ring: Ring, fd: int, flags: int) -> None:
    buffers = [bytearray(b"one"), memoryview(bytearray(b"two")), bytearray(b"!")]

    assert await ring.write(fd, 2, buffers, flags) == 7

    assert os.pread(fd, 100, 0) == b"\0\0onetwo!"


async def test_an_error_of_the_kernel_comes_back(ring: Ring, tmp_path: Path, fd: int) -> None:
    readable = os.open(tmp_path / "file", os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="Bad file descriptor"):
            await asked(ring, readable, b"x")
    finally:
        os.close(readable)

    assert await asked(ring, fd, b"x") == 1


@pytest.mark.parametrize("buffer", [b"read-only", bytearray()])
async def test_what_tells_no_address_is_not_taken(ring: Ring, fd: int, buffer: bytes) -> None:
    assert ring.write(fd, 0, [buffer], 0) is None
    assert os.fstat(fd).st_size == 0


async def test_a_write_that_waits_holds_up_nobody(
    ring: Ring, fd: int, pipe: tuple[int, int]
) -> None:
    waiting = asked(ring, pipe[1], b"waits")

    assert await asked(ring, fd, b"does not") == 8

    assert not waiting.done()
    drain(pipe[0])
    assert await waiting == 5


async def test_no_more_is_taken_than_there_is_room_for(
    ring: Ring, fd: int, pipe: tuple[int, int]
) -> None:
    waiting = [asked(ring, pipe[1], b"waits") for _ in range(4)]

    assert ring.write(fd, 0, [bytearray(b"x")], 0) is None

    drain(pipe[0])
    assert await asyncio.gather(*waiting) == [5] * 4
    assert await asked(ring, fd, b"x") == 1


async def test_a_crowd_that_is_done_before_anybody_looks_is_told_whole(fd: int) -> None:
    ring = Ring.open(entries=128)
    if ring is None:
        pytest.skip("this kernel or sandbox gives no io_uring")
    waiting = [asked(ring, fd, b"x" * length, at=200 * length) for length in range(1, 129)]

    # The loop stands still meanwhile: nobody looks.
    wait_until(lambda: all(os.pread(fd, 1, 201 * length - 1) == b"x" for length in range(1, 129)))

    assert not any(answer.done() for answer in waiting)
    async with asyncio.timeout(30):
        assert await asyncio.gather(*waiting) == list(range(1, 129))
    ring.close()


async def test_many_writes_find_their_own_answers(ring: Ring, fd: int) -> None:
    for turn in range(100):
        lengths = [1 + (turn + each) % 7 for each in range(4)]
        found = await asyncio.gather(*(asked(ring, fd, bytes(length)) for length in lengths))
        assert found == lengths


async def test_what_the_kernel_works_with_is_held_until_it_is_done(
    ring: Ring, pipe: tuple[int, int]
) -> None:
    held = Held()
    seen = weakref.ref(held)
    waiting = asked(ring, pipe[1], b"still here", held)
    waiting.cancel()
    del held
    gc.collect()
    assert seen() is not None

    drain(pipe[0])
    await until(lambda: seen() is None)

    assert os.read(pipe[0], 100) == b"still here"


async def test_what_was_asked_for_before_closing_is_done(pipe: tuple[int, int], fd: int) -> None:
    ring = Ring.open(entries=4)
    if ring is None:
        pytest.skip("this kernel or sandbox gives no io_uring")
    waiting = asked(ring, pipe[1], b"last")
    ring.close()
    assert ring.write(fd, 0, [bytearray(b"x")], 0) is None

    drain(pipe[0])

    assert await waiting == 4


async def test_descriptors_are_given_back() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        ring = Ring.open()
        if ring is None:
            pytest.skip("this kernel or sandbox gives no io_uring")
        ring.close()

    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_kernel_that_gives_none_is_no_error() -> None:
    assert Ring.open(entries=0) is None
