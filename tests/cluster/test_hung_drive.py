"""A drive that takes nothing holds up neither the loop that writes to it nor another drive.

A frozen file system makes every writer wait. Where loop mounts are not allowed these tests are
skipped, and a warning says why.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from mmap import mmap
from pathlib import Path

import pytest

from core.ring import Ring
from storage_nodes.node.disk import Disk, OwnedFd
from tests.support import power
from tests.support.power import FileSystem

pytestmark = pytest.mark.cluster

SIZE = 64 << 10
# Longer than any turn of the loop that does not wait for a drive.
TURN_S = 5.0


@pytest.fixture(params=power.KINDS)
def disk(request: pytest.FixtureRequest) -> Iterator[FileSystem]:
    power.need(request.param)
    with power.file_system(request.param) as made:
        yield made


@pytest.fixture
async def ring() -> Ring:
    made = Ring.open()
    if made is None:
        pytest.skip("this kernel or sandbox gives no io_uring")
    return made


def opened(path: Path, *, uncached: bool, written: bool) -> OwnedFd:
    """A file with room set aside, as a pack is: its blocks written before, or not yet."""
    file = OwnedFd(os.open(path, os.O_RDWR | os.O_CREAT))
    Disk().allocate(file.fd, SIZE, as_length=True)
    if written:
        os.pwrite(file.fd, bytes(SIZE), 0)
        os.fsync(file.fd)
    if uncached:
        Disk().bypass_cache(file.fd)
    return file


@pytest.mark.parametrize("uncached", [False, True])
@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("durably", [False, True])
async def test_a_hung_drive_holds_up_neither_the_loop_nor_another(
    disk: FileSystem, ring: Ring, tmp_path: Path, *, uncached: bool, written: bool, durably: bool
) -> None:
    content = mmap(-1, SIZE)
    hung = opened(disk.root / "hung", uncached=uncached, written=written)
    well = opened(tmp_path / "well", uncached=uncached, written=written)

    with disk.frozen():
        waiting = asyncio.create_task(
            Disk().write_by(ring, hung, 0, [memoryview(content)], durably=durably)
        )
        async with asyncio.timeout(TURN_S):
            assert await Disk().write_by(ring, well, 0, [memoryview(content)], durably=durably)
        assert not waiting.done()

    assert await waiting
    ring.close()
