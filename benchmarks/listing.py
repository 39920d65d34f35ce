"""`python -m benchmarks.listing --keys N`: what pages of a large bucket cost, and keys per second.

A bucket of N keys and one of 10,000 of the same shapes are filled by SQL, in a store of its own or
in that of `--home`. The same pages are asked of both by turns over HTTP: at the beginning, in the
middle, at the end; with a delimiter, for 10, 100 and 1,000 common prefixes. Then pages over a
million delete markers, and over a million dead rows before and after they are vacuumed. Shown are
medians, and the pages of the database each touches, which other load does not change. Each listing
is walked by one connection and by several. Exit status 1 when a walk is slower than `--at-least`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import listing_fill
from benchmarks.client import Access
from benchmarks.listing_ask import PAGE, WALKS, Bench
from benchmarks.listing_fill import SMALL
from benchmarks.own_store import own_store
from benchmarks.s3 import table_row

SEVERAL = 8


def _table(*titles: str) -> None:
    print()
    print(table_row(list(titles)))
    print(table_row(["---"] * len(titles)), flush=True)


def _row(*values: object) -> None:
    shown = [f"{value:,.2f}" if isinstance(value, float) else str(value) for value in values]
    print(table_row(shown), flush=True)


async def pages(bench: Bench, small: object, large: object, count: int) -> None:
    """One page of 1,000, at three places."""
    _table("page of 1,000", f"ms of {SMALL:,}", f"ms of {count:,}", "ratio", "pages", "")
    for kind in ("v2", "versions"):
        for where, share in (("begin", 0.0), ("middle", 0.5), ("end", 1.0)):
            pair = [
                bench.question(bucket, kind, after=bench.key_at(bucket, int((of - PAGE) * share)))
                for bucket, of in ((small, SMALL), (large, count))
            ]
            (few, _), (many, _) = await bench.times(*pair)
            _row(f"{kind}, {where}", few, many, many / few, *map(bench.touched, pair))


async def folders(bench: Bench, small: object, large: object, count: int) -> None:
    """Listings that return nothing but common prefixes."""
    _table(
        "common prefixes",
        f"ms of {SMALL:,}",
        f"ms of {count:,}",
        "ratio",
        "us each",
        "pages each",
        "pages each",
    )
    for kind in ("v2", "versions"):
        for wide in listing_fill.WIDE:
            pair = [
                bench.question(bucket, kind, prefix=f"wide/{wide}/", delimiter="/")
                for bucket in (small, large)
            ]
            (few, _), (many, found) = await bench.times(*pair)
            assert found == wide, (found, wide)
            each = [round(bench.touched(question) / wide, 1) for question in pair]
            _row(f"{kind}, {wide}", few, many, many / few, many * 1000 / wide, *map(str, each))


async def over_markers(bench: Bench, bucket: object, count: int) -> None:
    """Few live keys among many delete markers."""
    _table(f"among {count:,} markers", "entries", "ms", "pages")
    for title, kind, prefix, delimiter in (
        ("v2", "v2", "", ""),
        ("v2, delimiter", "v2", "logs/", "/"),
        ("versions, a page", "versions", "", ""),
        ("versions, delimiter", "versions", "logs/", "/"),
    ):
        question = bench.question(bucket, kind, prefix=prefix, delimiter=delimiter)
        ((ms, found),) = await bench.times(question)
        _row(title, found, ms, bench.touched(question))


async def over_dead_rows(bench: Bench, bucket: object, count: int) -> None:
    """A page that passes rows deleted, but not vacuumed yet."""
    _table(f"over {count:,} dead rows", "first ms", "ms", "pages")
    for state in ("not vacuumed", "vacuumed"):
        if state == "vacuumed":
            listing_fill.rest(bench.database)
        for title, kind, delimiter in (
            ("v2", "v2", ""), ("delimiter", "v2", "/"), ("versions", "versions", "/"),
        ):  # fmt: skip
            after = "a/" if not delimiter else ""
            question = bench.question(bucket, kind, after=after, delimiter=delimiter)
            first = await bench.one(question)
            ((ms, _),) = await bench.times(question)
            _row(f"{title}, {state}", first, ms, bench.touched(question))


async def walks(bench: Bench, bucket: object, seconds: float) -> float:
    """Keys per second through XML over HTTP; the lowest."""
    roles = ["gateway", "postgres"]
    costs = [f"{role} us/key" for role in (*roles, "client")]
    _table("walk", "connections", "keys/s", "keys/s of CPU", *costs)
    lowest = float("inf")
    for kind in WALKS:
        for connections in (1, SEVERAL):
            rate, cpu, own = await bench.walk(bucket, kind, connections, seconds)
            used = [cpu[role] for role in roles]
            # What one core of its own would do, whatever else runs on this machine.
            of_cpu = 1e6 / sum(used) if any(used) else 0.0
            _row(kind, connections, f"{rate:,.0f}", f"{of_cpu:,.0f}", *used, own)
            lowest = min(lowest, rate)
    return lowest


async def measure(home: Path, access: Access, given: argparse.Namespace) -> float:
    bench = Bench(access, home, given.repeat)
    try:
        small, large = await bench.bucket("small"), await bench.bucket("large")
        with _timed(f"{given.keys:,} keys"), listing_fill.unvacuumed(bench.database):
            listing_fill.keys(bench.database, small, SMALL)
            listing_fill.keys(bench.database, large, given.keys)
            listing_fill.rest(bench.database)
        await pages(bench, small, large, given.keys)
        await folders(bench, small, large, given.keys)
        lowest = await walks(bench, large, given.seconds)
        markers = await bench.bucket("markers")
        with _timed(f"{given.markers:,} markers"):
            listing_fill.markers(bench.database, markers, given.markers)
            listing_fill.rest(bench.database)
        await over_markers(bench, markers, given.markers)
        with listing_fill.unvacuumed(bench.database):
            dead = await bench.bucket("dead")
            with _timed(f"{given.dead:,} dead rows"):
                listing_fill.dead(bench.database, dead, given.dead)
            await over_dead_rows(bench, dead, given.dead)
        return lowest
    finally:
        if given.home:
            await bench.remove()
        bench.database.close()


@contextmanager
def _timed(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    sys.stderr.write(f"filled {what} in {time.monotonic() - began:.0f} s\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--markers", type=int, default=1_000_000)
    parser.add_argument("--dead", type=int, default=1_000_000)
    parser.add_argument("--home", type=Path, help="a running store to do it in; it is cleared up")
    parser.add_argument("--repeat", type=int, default=21, help="requests per median")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each walk")
    parser.add_argument("--at-least", type=float, default=50_000, help="keys per second of a walk")
    given = parser.parse_args()
    if given.home:
        lowest = asyncio.run(measure(given.home, Access.of_home(given.home), given))
    else:
        with own_store() as store:
            lowest = asyncio.run(measure(store.home, store.access, given))
    print(f"\nthe slowest walk: {lowest:,.0f} keys/s")
    return 0 if lowest >= given.at_least else 1


if __name__ == "__main__":
    sys.exit(main())
