"""`python -m benchmarks.durable_writes`: a durable write of three copies, by thread and by ring.

Two packs at once of three files each, two of them written past the page cache, as in a gateway;
meanwhile the loop computes as long as the requests of such a group take. Shown are groups per
second, CPU per group beside that work (threads of the kernel for this process included), and
context switches per group; medians of `--runs`, taken by turns.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import sys
import tempfile
import time
from mmap import mmap
from pathlib import Path

import uvloop

from core import settings_text
from core.hands import Hands
from core.ring import Ring
from storage_nodes.node.disk import Disk, OwnedFd

PACKS = 2
COPIES = 3
GROUPS = 400
ROOM_BYTES = 64 << 20
THREADS = 4
# A gateway worker's switch interval.
SWITCH_S = 0.0005
BLOCK = 4096


class Packs:
    """The files of all packs, and one group's bytes."""

    def __init__(self, folder: Path, group: int) -> None:
        self._disk = Disk()
        self._files = [self._file(folder / str(number)) for number in range(PACKS * COPIES)]
        for number, file in enumerate(self._files):
            if number % COPIES:
                self._disk.bypass_cache(file.fd)
        self._content = memoryview(mmap(-1, group))
        self._hands = [Hands(THREADS, "write") for _ in self._files]
        self._ring = Ring.open()

    async def put(self, way: str, pack: int, turn: int) -> None:
        """A group into its place on every copy of a pack."""
        offset = turn * len(self._content) % (ROOM_BYTES - len(self._content)) // BLOCK * BLOCK
        numbers = range(pack * COPIES, (pack + 1) * COPIES)
        put = self._by_ring if way == "ring" else self._by_thread
        await asyncio.gather(*(put(number, offset) for number in numbers))

    def close(self) -> None:
        for hands in self._hands:
            hands.close()
        if self._ring is not None:
            self._ring.close()

    async def _by_thread(self, number: int, offset: int) -> None:
        arguments = (self._files[number].fd, offset, [self._content])
        await self._hands[number].run(self._disk.write_durably, *arguments)

    async def _by_ring(self, number: int, offset: int) -> None:
        if self._ring is None:
            raise SystemExit("this kernel or sandbox gives no io_uring")
        file = self._files[number]
        content = [self._content]
        assert await self._disk.write_durably_by(self._ring, file, offset, content)

    def _file(self, path: Path) -> OwnedFd:
        made = OwnedFd(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC))
        self._disk.allocate(made.fd, ROOM_BYTES, as_length=True)
        return made


async def measure(way: str, folder: Path, group: int, work_s: float) -> tuple[float, float, float]:
    """Groups per second, CPU microseconds and context switches per group."""
    packs = Packs(folder, group)

    async def lane(pack: int) -> None:
        for turn in range(GROUPS):
            writing = asyncio.create_task(packs.put(way, pack, turn))
            for _ in range(4):
                await asyncio.sleep(0)
                until = time.thread_time() + work_s / 4
                while time.thread_time() < until:
                    pass
            await writing

    switches, cpu, began = _switches(), time.process_time(), time.perf_counter()
    await asyncio.gather(*map(lane, range(PACKS)))
    groups = GROUPS * PACKS
    took = time.perf_counter() - began
    beside = (time.process_time() - cpu) / groups - work_s
    packs.close()
    return groups / took, beside * 1e6, (_switches() - switches) / groups


def _switches() -> int:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_nvcsw + used.ru_nivcsw


def main() -> None:
    asking = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asking.add_argument("--group", type=settings_text.size, default=settings_text.size("48KiB"))
    asking.add_argument("--work-us", type=float, default=1500.0)
    asking.add_argument("--runs", type=int, default=5)
    asking.add_argument("--folder", help="where the files lie; a temporary directory if not said")
    asked = asking.parse_args()
    sys.setswitchinterval(SWITCH_S)
    found: dict[str, list[tuple[float, float, float]]] = {"thread": [], "ring": []}
    for turn in range(asked.runs):
        for way in sorted(found, reverse=turn % 2 == 1):
            with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
                work = measure(way, Path(folder), asked.group, asked.work_us * 1e-6)
                found[way].append(uvloop.run(work))
    print(f"{'':8}{'groups/s':>10}{'us of CPU':>12}{'switches':>10}")
    for way, runs in found.items():
        rate, cost, switches = (statistics.median(each) for each in zip(*runs, strict=True))
        print(f"{way:8}{rate:10.0f}{cost:12.0f}{switches:10.1f}")


if __name__ == "__main__":
    main()
