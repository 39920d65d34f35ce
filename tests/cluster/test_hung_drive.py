"""A drive that takes nothing holds up neither the loop that writes to it nor another drive, nor the
journal.

A frozen file system makes every writer wait at once; one whose device hangs, where it comes to it:
at its journal, at a full queue. Where loop mounts are not allowed these tests are skipped, and a
warning says why.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from mmap import mmap
from pathlib import Path

import psycopg
import pytest

from core import bridge
from core import config as configuration
from core.ring import Ring
from jobs import statements
from storage_nodes import journal_files
from storage_nodes.node.disk import Disk, OwnedFd
from tests.support import power
from tests.support.journals import begin, change, copy_changes
from tests.support.nodes import RunningNode, make_known
from tests.support.power import FileSystem
from workers import storage as worker_storage
from workers.storage import ClusterStorage

pytestmark = pytest.mark.cluster

SIZE = 64 << 10
BLOCK = 16 << 10
# Files written at once on a drive, and for how long it hangs.
PACKS = 4
PACK_SIZE = 16 << 20
HUNG_S = 4.0
# How long background work waits for a drive, and the most a round of the journal may take with one
# that hangs: a request to its node, a flush, and what is in no hurry on a busy machine.
PATIENCE_S = 1.0
ROUND_S = 6.0
ROUNDS = 4
# Longer than any turn of the loop that does not wait for a drive.
TURN_S = 5.0


@pytest.fixture
async def ring() -> Ring:
    made = Ring.open()
    if made is None:
        pytest.skip("this kernel or sandbox gives no io_uring")
    return made


def opened(path: Path, *, uncached: bool, written: bool = False, size: int = SIZE) -> OwnedFd:
    """A file with room set aside, as a pack is: its blocks written before, or not yet."""
    file = OwnedFd(os.open(path, os.O_RDWR | os.O_CREAT))
    Disk().allocate(file.fd, size, as_length=True)
    if written:
        os.pwrite(file.fd, bytes(size), 0)
        os.fsync(file.fd)
    if uncached:
        Disk().bypass_cache(file.fd)
    return file


@pytest.mark.parametrize("uncached", [False, True])
@pytest.mark.parametrize("written", [False, True])
async def test_a_frozen_file_system_holds_up_neither_the_loop_nor_another(
    disk: FileSystem, ring: Ring, tmp_path: Path, *, uncached: bool, written: bool
) -> None:
    content = mmap(-1, SIZE)
    hung = opened(disk.root / "hung", uncached=uncached, written=written)
    well = opened(tmp_path / "well", uncached=uncached, written=written)

    with disk.frozen():
        waiting = asyncio.create_task(Disk().write_durably_by(ring, hung, 0, [memoryview(content)]))
        async with asyncio.timeout(TURN_S):
            assert await Disk().write_durably_by(ring, well, 0, [memoryview(content)])
        assert not waiting.done()

    assert await waiting
    ring.close()


@pytest.mark.parametrize("kind", power.KINDS)
@pytest.mark.parametrize("uncached", [False, True])
async def test_a_hung_device_does_not_hold_up_the_loop(
    ring: Ring, kind: str, *, uncached: bool
) -> None:
    power.need(kind)
    with power.file_system("ext4") as outer, outer.device(kind) as disk:
        turns = await turns_beside_writes(ring, outer, disk, uncached=uncached)
    ring.close()

    assert max(after - before for before, after in pairwise(turns)) < HUNG_S / 2


async def turns_beside_writes(
    ring: Ring, outer: FileSystem, disk: FileSystem, *, uncached: bool
) -> list[float]:
    """When the loop came round while the device hung and more and more writes to it waited."""
    packs = [opened(disk.root / str(n), uncached=uncached, size=PACK_SIZE) for n in range(PACKS)]
    content, turns, waiting = mmap(-1, BLOCK), list[float](), list[asyncio.Future[int]]()
    with ExitStack() as hung:
        freezing = asyncio.create_task(
            asyncio.to_thread(hung.enter_context, outer.frozen()), name="freezing"
        )
        hangs_since = None
        while hangs_since is None or turns[-1] < hangs_since + HUNG_S:
            turns.append(time.monotonic())
            if hangs_since is None and freezing.done():
                hangs_since = turns[-1]
            offset = len(turns) * BLOCK
            for pack in packs:
                asked = ring.write(pack.fd, offset, [memoryview(content)], os.RWF_DSYNC, pack)
                if asked is not None:  # the ring is full once so many wait
                    waiting.append(asked)
            await asyncio.sleep(0.02)
    assert not all(each.done() for each in waiting)
    assert set(await asyncio.gather(*waiting)) == {BLOCK}
    return turns


def test_the_journal_goes_on_while_one_of_its_drives_hangs(database: str, tmp_path: Path) -> None:
    power.need("ext4")
    with (
        power.file_system("ext4") as outer,
        outer.device("ext4") as disk,
        node_with(disk, tmp_path) as node,
        drives_of(node, database) as drives,
    ):
        begin()
        took = []
        with outer.frozen():
            for _ in range(ROUNDS):
                change()
                since = time.monotonic()
                copy_changes()
                took.append(time.monotonic() - since)
            silent = [drive.id for drive in drives.silent()]
        copied = statements.rows(
            "SELECT count(*) FROM change, journal_state s WHERE change.id > s.id"
        )
        files = worker_storage.run(journal_files.listed(drives.stores))

    assert max(took) < ROUND_S
    assert silent == [1]
    assert copied == [(0,)]
    assert [len(held) for name, held in sorted(files.items()) if name.kind == "jrn"] == [3] * ROUNDS


@contextmanager
def node_with(disk: FileSystem, home: Path) -> Iterator[RunningNode]:
    """A node of as many drives as the journal takes, the first of them on that file system."""
    first = home / "drives" / "node-1" / "drive-1"
    first.parent.mkdir(parents=True)
    first.symlink_to(disk.root)
    node = RunningNode(home, drives=journal_files.COPIES.width)
    try:
        node.start()
        yield node
    finally:
        node.kill()


@contextmanager
def drives_of(node: RunningNode, database: str) -> Iterator[ClusterStorage]:
    """The node's drives, as those of this process's background work."""
    with psycopg.connect(database, autocommit=True) as rows:
        assert make_known(rows, node) == [1, 2, 3, 4]
    settings = {"key_file": node.home / "keys" / "node.key", "request_timeout_s": PATIENCE_S}
    with configuration.override(nodes=settings, jobs={"drive_timeout_s": PATIENCE_S}):
        opened = ClusterStorage()
        worker_storage.install(opened)
        try:
            yield opened
        finally:
            worker_storage.install(None)
            bridge.run(opened._inventory.close())
