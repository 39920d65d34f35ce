"""`python -m benchmarks.memory --home HOME`: the memory of gateway workers while large bodies
stream, and while clients come and go.

Eight uploads and eight downloads of 1 GiB at once; then rounds of uploads of 1 MiB, each round on
32 connections of its own: what a worker keeps of them would show as growth from round to round. The
resident set of every gateway process is sampled throughout. Exit status 1 when any reached the
limit, or when any body came back different.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import sys
import time
from pathlib import Path

from benchmarks import processes
from benchmarks.client import Access, Connection, Expected, Fault, Signer, once

MIB = 1 << 20
SAMPLE_S = 0.1
# One round of clients that come and go.
CLIENTS, PUTS = 32, 12


class Streams:
    """Uploads and downloads of one large body, made of one piece sent over and over."""

    def __init__(self, access: Access, size: int) -> None:
        self._signer = Signer(access)
        self._pieces = [os.urandom(MIB)] * (size // MIB)
        self._size = size
        digest = hashlib.sha256()
        for piece in self._pieces:
            digest.update(piece)
        self._sha256 = digest.hexdigest()

    async def up(self, *paths: str) -> None:
        """One after the other on one connection."""
        connection = Connection(self._signer.host, self._signer.port)
        for path in paths:
            head = self._signer.head("PUT", path, sha256=self._sha256, length=self._size)
            answer = await connection.ask(head, self._pieces)
            if answer.status != 200:
                raise Fault(f"PUT {path}: {answer.status} {answer.body[:200]!r}")
        connection.close()

    async def down(self, path: str) -> None:
        connection = Connection(self._signer.host, self._signer.port)
        answer = await connection.ask(
            self._signer.head("GET", path), expected=Expected(self._pieces)
        )
        connection.close()
        if answer.status != 200:
            raise Fault(f"GET {path}: {answer.status} {answer.body[:200]!r}")

    async def make_bucket(self, bucket: str) -> None:
        await once(self._signer, "PUT", f"/{bucket}", ok=(200, 409))

    async def remove(self, paths: list[str], bucket: str) -> None:
        for path in paths:
            await once(self._signer, "DELETE", path, ok=(204,))
        await once(self._signer, "DELETE", f"/{bucket}", ok=(204,))


def gateways(home: Path) -> list[int]:
    return [pid for pid, role in processes.of_home(home).items() if role == "gateway"]


async def watch(home: Path, peaks: dict[int, int]) -> None:
    while True:
        for pid in gateways(home):
            peaks[pid] = max(peaks.get(pid, 0), processes.resident_bytes(pid))
        await asyncio.sleep(SAMPLE_S)


async def measure(home: Path, *, size: int, streams: int) -> tuple[dict[int, int], float]:
    """The peak resident set of each gateway process, and the seconds it took."""
    work = Streams(Access.of_home(home), size)
    bucket = f"memory-{os.getpid()}"
    await work.make_bucket(bucket)
    source = f"/{bucket}/source"
    await work.up(source)
    peaks: dict[int, int] = {}
    watching = asyncio.create_task(watch(home, peaks))
    start = time.perf_counter()
    targets = [f"/{bucket}/{number}" for number in range(streams)]
    try:
        await asyncio.gather(*map(work.up, targets), *(work.down(source) for _ in targets))
    finally:
        watching.cancel()
    seconds = time.perf_counter() - start
    await work.remove([source, *targets], bucket)
    return peaks, seconds


async def come_and_go(home: Path, *, rounds: int) -> tuple[dict[int, int], list[int]]:
    """The peak of each gateway process, and the largest of them after each round."""
    work = Streams(Access.of_home(home), MIB)
    bucket = f"memory-rounds-{os.getpid()}"
    await work.make_bucket(bucket)
    paths = [[f"/{bucket}/{one}-{put}" for put in range(PUTS)] for one in range(CLIENTS)]
    peaks: dict[int, int] = {}
    after = []
    watching = asyncio.create_task(watch(home, peaks))
    try:
        for _ in range(rounds):
            await asyncio.gather(*(work.up(*each) for each in paths))
            after.append(max(processes.resident_bytes(pid) for pid in gateways(home)))
    finally:
        watching.cancel()
    await work.remove([path for each in paths for path in each], bucket)
    return peaks, after


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", required=True, type=Path)
    parser.add_argument("--size-mib", type=int, default=1024)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--limit-mib", type=int, default=300)
    arguments = parser.parse_args()
    peaks, seconds = asyncio.run(
        measure(arguments.home, size=arguments.size_mib * MIB, streams=arguments.streams)
    )
    if not peaks:
        raise SystemExit(f"no gateway process found for {arguments.home}")
    said(peaks)
    moved = 2 * arguments.streams * arguments.size_mib * MIB / 1e6
    print(f"{moved:.0f} MB in {seconds:.1f} s")
    later, after = asyncio.run(come_and_go(arguments.home, rounds=arguments.rounds))
    said(later)
    sizes = ", ".join(f"{size / MIB:.0f}" for size in after)
    print(f"after each round of clients: {sizes} MiB; limit {arguments.limit_mib} MiB")
    return 1 if max(*peaks.values(), *later.values()) >= arguments.limit_mib * MIB else 0


def said(peaks: dict[int, int]) -> None:
    for pid, peak in sorted(peaks.items()):
        print(f"gateway process {pid}: peak resident set {peak / MIB:.0f} MiB")


if __name__ == "__main__":
    sys.exit(main())
