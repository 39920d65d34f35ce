"""`python -m benchmarks.keep_up --home HOME`: do the workers keep up with 4 KiB PUTs?

A burst of five seconds gives the rate to compare with; then, once everything is coded, PUTs go on
for `--seconds`. Meanwhile the segment table is read each second. Exit status 1 when a segment of
4 MiB or more stayed uncoded for over 60 s, when less than 80 % of the burst's rate was kept, or
on any error.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from benchmarks.client import Access, Connection, Fault, Signer, once
from benchmarks.home import database_url

BODY_SIZE = 4096
UNCODED = """
    SELECT id, state, size FROM segment
    WHERE layout = 'replicated' AND state IN ('open', 'sealed') AND size >= %s
      AND storage_policy NOT LIKE 'rep-%%'
"""


@dataclass
class Uncoded:
    """When each large segment was first and last seen waiting."""

    first: dict[object, float] = field(default_factory=dict)
    last: dict[object, float] = field(default_factory=dict)

    def see(self, segments: list[object], now: float) -> None:
        for segment in segments:
            self.first.setdefault(segment, now)
            self.last[segment] = now

    @property
    def longest_s(self) -> float:
        return max((self.last[s] - self.first[s] for s in self.first), default=0.0)


async def watch(url: str, seen: Uncoded, min_bytes: int, stop: asyncio.Event) -> None:
    """Look each second until told to stop and nothing large is waiting any more."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        while True:
            rows = await (await connection.execute(UNCODED, (min_bytes,))).fetchall()
            seen.see([row[0] for row in rows], time.monotonic())
            if stop.is_set() and not rows:
                return
            await asyncio.sleep(1)


async def put_for(
    signer: Signer, bucket: str, prefix: str, seconds: float, connections: int
) -> float:
    """PUT small objects for that long; the rate reached."""
    body = os.urandom(BODY_SIZE)
    sha256 = hashlib.sha256(body).hexdigest()
    done = 0
    stop = time.perf_counter() + seconds
    numbers = iter(range(1 << 40))

    async def worker() -> None:
        nonlocal done
        connection = Connection(signer.host, signer.port)
        while time.perf_counter() < stop:
            path = f"/{bucket}/{prefix}/{next(numbers):09d}"
            head = signer.head("PUT", path, sha256=sha256, length=BODY_SIZE)
            answer = await connection.ask(head + body)
            if answer.status != 200:
                raise Fault(f"PUT {path}: {answer.status} {answer.body[:200]!r}")
            done += 1
        connection.close()

    start = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(connections)))
    return done / (time.perf_counter() - start)


async def measure(
    home: Path, *, seconds: float, connections: int, min_bytes: int
) -> tuple[float, float, Uncoded]:
    signer = Signer(Access.of_home(home))
    url = database_url(home)
    bucket = f"keep-up-{os.getpid()}"
    await once(signer, "PUT", f"/{bucket}")
    burst = await put_for(signer, bucket, "burst", 5, connections)
    idle = asyncio.Event()
    idle.set()
    await watch(url, Uncoded(), min_bytes, idle)
    seen, stop = Uncoded(), asyncio.Event()
    watching = asyncio.create_task(watch(url, seen, min_bytes, stop))
    kept = await put_for(signer, bucket, "long", seconds, connections)
    stop.set()
    await watching
    return burst, kept, seen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", required=True, type=Path)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--conc", type=int, default=32)
    parser.add_argument("--min-bytes", type=int, default=4 << 20)
    parser.add_argument("--wait-s", type=float, default=60)
    parser.add_argument("--keep", type=float, default=0.8)
    arguments = parser.parse_args()
    burst, kept, seen = asyncio.run(
        measure(
            arguments.home,
            seconds=arguments.seconds,
            connections=arguments.conc,
            min_bytes=arguments.min_bytes,
        )
    )
    print(f"burst {burst:,.0f} PUT/s")
    print(f"over {arguments.seconds:.0f} s {kept:,.0f} PUT/s = {kept / burst:.0%}")
    print(
        f"{len(seen.first)} segments filled; the longest stayed uncoded for {seen.longest_s:.0f} s"
    )
    return 1 if seen.longest_s > arguments.wait_s or kept < arguments.keep * burst else 0


if __name__ == "__main__":
    sys.exit(main())
