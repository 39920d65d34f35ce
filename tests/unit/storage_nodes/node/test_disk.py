"""Writing past the page cache: what is whole blocks goes that way, what is not goes the other."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from mmap import mmap
from pathlib import Path

import pytest

from storage_nodes.node.disk import Disk

PAGE = 4096


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path / "shard", os.O_RDWR | os.O_CREAT)
    yield opened
    os.close(opened)


def goes_past_the_cache(fd: int) -> bool:
    return bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT)


def content_of(fd: int) -> bytes:
    return Path(f"/proc/self/fd/{fd}").read_bytes()


def page_of(byte: bytes, count: int = 1) -> memoryview:
    """Whole blocks in memory that begins on a page."""
    mapped = mmap(-1, count * PAGE)
    mapped.write(byte * count * PAGE)
    return memoryview(mapped)


def test_whole_blocks_are_written(fd: int) -> None:
    disk = Disk()
    disk.bypass_cache(fd)
    disk.write(fd, PAGE, [page_of(b"a", 3)])
    assert content_of(fd) == bytes(PAGE) + b"a" * 3 * PAGE


@pytest.mark.parametrize("buffer", [b"short", bytes(PAGE + 1)], ids=["part", "more"])
def test_what_is_no_whole_block_is_written_through_the_cache(fd: int, buffer: bytes) -> None:
    disk = Disk()
    disk.bypass_cache(fd)
    disk.write(fd, PAGE, [buffer])
    disk.write(fd, 4 * PAGE, [page_of(b"b")])
    content = content_of(fd)
    assert content[PAGE : PAGE + len(buffer)] == buffer
    assert content[4 * PAGE :] == b"b" * PAGE
    assert not goes_past_the_cache(fd)


def test_another_error_stays_one(fd: int, tmp_path: Path) -> None:
    readable = os.open(tmp_path / "shard", os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="Bad file descriptor"):
            Disk().write(readable, 0, [page_of(b"c")])
    finally:
        os.close(readable)


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENOSYS])
def test_where_one_call_cannot_write_durably_two_do(
    fd: int, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    pwritev, fdatasync = os.pwritev, os.fdatasync

    def refuse(fd: int, buffers: list[bytes], offset: int, flags: int = 0) -> int:
        if flags:
            raise OSError(number, os.strerror(number))
        return pwritev(fd, buffers, offset)

    def note(fd: int) -> None:
        synced.append(fd)
        fdatasync(fd)

    monkeypatch.setattr(os, "pwritev", refuse)
    monkeypatch.setattr(os, "fdatasync", note)

    assert Disk().write_durably(fd, 2, [b"more"]) == 4

    assert content_of(fd) == b"\0\0more"
    assert synced == [fd]
