"""`python -m benchmarks.s3`: PUT, GET, HEAD and DELETE at several sizes, printed as one table.

Requests are signed and bodies hashed before the clock starts; one raw keep-alive connection per
worker; every body is compared with what was put. An operation counts only when its status is
right and its content verified; anything else is an error, and any error makes the exit status 1.
Each cell is run `--runs` times and the median is shown. CPU is user + system time of every
process of the store's home.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import math
import os
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import processes
from benchmarks.client import UNSIGNED, Access, Connection, Expected, Fault, Signer, once
from core import clock

KIB, MIB = 1 << 10, 1 << 20
TAG_SIZE = 16
# More operations than a cell of a few seconds can do; each costs a signed head in memory.
MAX_OPS = {"small": 20_000, "medium": 5_000, "large": 600}


@dataclass
class Cell:
    """One operation at one size and concurrency, in one run."""

    op: str
    size: int
    connections: int
    seconds: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    cpu_s: Counter[str] = field(default_factory=Counter)
    client_cpu_s: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.done) / self.seconds if self.seconds else 0.0

    @property
    def mb_per_second(self) -> float:
        return self.per_second * self.size / 1e6

    def percentile_ms(self, share: float) -> float:
        ordered = sorted(self.latencies_s)
        if not ordered:
            return math.nan
        return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] * 1000

    def cpu_us_per_op(self) -> dict[str, float]:
        count = max(1, len(self.done))
        return {role: used * 1e6 / count for role, used in self.cpu_s.items()}

    def summary(self) -> dict[str, object]:
        return {
            "op": self.op,
            "size": self.size,
            "connections": self.connections,
            "operations": len(self.done),
            "per_second": round(self.per_second, 1),
            "mb_per_second": round(self.mb_per_second, 1),
            "p50_ms": round(self.percentile_ms(0.50), 3),
            "p99_ms": round(self.percentile_ms(0.99), 3),
            "errors": dict(self.errors),
            "cpu_us_per_op": {r: round(v, 1) for r, v in self.cpu_us_per_op().items()},
            "client_cpu_us_per_op": round(self.client_cpu_s * 1e6 / max(1, len(self.done)), 1),
        }


@dataclass(slots=True)
class Ask:
    head: bytes
    body: tuple[bytes | memoryview, ...]
    pieces: tuple[bytes, ...] | None
    status: int = 200
    length: int | None = None


class Bodies:
    """Distinct bodies that share one buffer; the tag at the end makes hashing each cheap."""

    def __init__(self, size: int, *, signed: bool) -> None:
        self.size = size
        self._base = os.urandom(size - TAG_SIZE)
        self._digest = hashlib.sha256(self._base)
        self._signed = signed

    def pieces(self, number: int) -> tuple[bytes, bytes]:
        return self._base, f"{number:016d}".encode()

    def sha256(self, number: int) -> str:
        if not self._signed:
            return UNSIGNED
        digest = self._digest.copy()
        digest.update(self.pieces(number)[1])
        return digest.hexdigest()


class Bench:
    def __init__(self, access: Access, home: Path | None, *, seconds: float, signed: bool) -> None:
        self._signer = Signer(access)
        self._home = home
        self._seconds = seconds
        self._signed = signed
        self._bucket = f"bench-{os.getpid()}-{int(clock.now().timestamp())}"

    async def prepare(self) -> None:
        await once(self._signer, "PUT", f"/{self._bucket}")

    async def finish(self) -> None:
        await once(self._signer, "DELETE", f"/{self._bucket}", ok=(204, 409))

    async def size(self, run: int, size: int, connections: int) -> list[Cell]:
        """PUT, GET, HEAD, DELETE of one size."""
        bodies = Bodies(size, signed=self._signed)
        count = limit(size) if connections > 1 else min(limit(size), 3000)
        paths = [f"/{self._bucket}/{run}/{size}/{connections}/{i:06d}" for i in range(count)]
        await self._warm_up(run)
        put = await self._cell("PUT", size, connections, self._puts(paths, bodies))
        if not put.done:
            return [put]
        stored = put.done
        again = (stored * math.ceil(count / len(stored)))[:count]
        get = await self._cell(
            "GET",
            size,
            connections,
            [Ask(self._signer.head("GET", paths[i]), (), bodies.pieces(i)) for i in again],
        )
        cells = [put, get]
        if size <= 64 * KIB:
            heads = [Ask(self._signer.head("HEAD", paths[i]), (), None, length=size) for i in again]
            cells.append(await self._cell("HEAD", size, connections, heads))
        gone = [Ask(self._signer.head("DELETE", paths[i]), (), None, status=204) for i in stored]
        cells.append(await self._cell("DELETE", size, connections, gone))
        await self._clear([paths[i] for n, i in enumerate(stored) if n not in set(cells[-1].done)])
        return cells

    def _puts(self, paths: list[str], bodies: Bodies) -> list[Ask]:
        asks = []
        for number, path in enumerate(paths):
            sha256 = bodies.sha256(number)
            head = self._signer.head("PUT", path, sha256=sha256, length=bodies.size)
            pieces = bodies.pieces(number)
            if bodies.size <= 64 * KIB:
                asks.append(Ask(head + pieces[0] + pieces[1], (), None))
            else:
                asks.append(Ask(head, pieces, None))
        return asks

    async def _warm_up(self, run: int) -> None:
        path = f"/{self._bucket}/{run}/warm"
        await once(self._signer, "PUT", path, body=b"warm")
        await once(self._signer, "GET", path)
        await once(self._signer, "DELETE", path, ok=(204,))

    async def _clear(self, paths: list[str]) -> None:
        """Remove what the timed deletes did not get to."""
        left = iter(paths)

        async def worker() -> None:
            connection = Connection(self._signer.host, self._signer.port)
            for path in left:
                await connection.ask(self._signer.head("DELETE", path))
            connection.close()

        await asyncio.gather(*(worker() for _ in range(8)))

    async def _cell(self, op: str, size: int, connections: int, asks: list[Ask]) -> Cell:
        cell = Cell(op, size, connections)
        numbers = iter(range(len(asks)))
        before, own = self._cpu(), time.process_time()
        start = time.perf_counter()
        stop = start + self._seconds

        async def worker() -> None:
            connection = Connection(self._signer.host, self._signer.port)
            while time.perf_counter() < stop and (number := next(numbers, None)) is not None:
                ask = asks[number]
                expected = Expected(ask.pieces) if ask.pieces else None
                began = time.perf_counter()
                try:
                    answer = await connection.ask(
                        ask.head, ask.body, expected=expected, is_head=op == "HEAD"
                    )
                    if answer.status != ask.status:
                        raise Fault(f"status {answer.status} {answer.body[:160]!r}")
                    if ask.length is not None and answer.headers.get("content-length") != str(
                        ask.length
                    ):
                        raise Fault(f"content-length {answer.headers.get('content-length')}")
                except (Fault, OSError, ValueError) as fault:
                    cell.errors[f"{type(fault).__name__}: {fault}"] += 1
                    continue
                cell.latencies_s.append(time.perf_counter() - began)
                cell.done.append(number)
            connection.close()

        await asyncio.gather(*(worker() for _ in range(connections)))
        cell.seconds = time.perf_counter() - start
        cell.client_cpu_s = time.process_time() - own
        cell.cpu_s = self._cpu()
        cell.cpu_s.subtract(before)
        sys.stderr.write(json.dumps(cell.summary()) + "\n")
        return cell

    def _cpu(self) -> Counter[str]:
        return processes.cpu_by_role(self._home) if self._home else Counter()


def limit(size: int) -> int:
    if size <= 64 * KIB:
        return MAX_OPS["small"]
    return MAX_OPS["medium"] if size <= MIB else MAX_OPS["large"]


def human(size: int) -> str:
    return f"{size // MIB} MiB" if size % MIB == 0 else f"{size // KIB} KiB"


def parse_size(text: str) -> int:
    units = {"k": KIB, "m": MIB}
    return int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text)


def report(cells: list[Cell]) -> str:
    """The medians: one row of rates as comparisons print them, then each cell with its CPU."""
    groups: dict[tuple[int, int, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.connections, cell.size, cell.op), []).append(cell)
    median = statistics.median
    widest = max(connections for connections, _, _ in groups)
    head, row = [], []
    for (connections, size, op), runs in groups.items():
        if connections == widest and op in ("PUT", "GET"):
            small = size <= 64 * KIB
            head.append(f"{op} {human(size)} {'/s' if small else 'MB/s'}")
            rates = [c.per_second if small else c.mb_per_second for c in runs]
            row.append(f"{median(rates):,.0f}")
    lines = [f"{widest} connections, medians of {len(next(iter(groups.values())))} run(s)", ""]
    lines += [table_row(head), table_row(["---"] * len(head)), table_row(row), ""]
    roles = sorted({role for cell in cells for role, used in cell.cpu_s.items() if used})
    titles = ["op", "size", "conn", "op/s", "MB/s", "p50 ms", "p99 ms", "CPU us/op", *roles]
    lines += [table_row([*titles, "client", "errors"]), table_row(["---"] * (len(titles) + 2))]
    for (connections, size, op), runs in groups.items():
        cpu = {r: median([c.cpu_us_per_op().get(r, 0.0) for c in runs]) for r in roles}
        client = median([c.client_cpu_s * 1e6 / max(1, len(c.done)) for c in runs])
        values = [
            op,
            human(size),
            str(connections),
            f"{median([c.per_second for c in runs]):,.0f}",
            f"{median([c.mb_per_second for c in runs]):,.1f}",
            f"{median([c.percentile_ms(0.50) for c in runs]):.2f}",
            f"{median([c.percentile_ms(0.99) for c in runs]):.2f}",
            f"{sum(cpu.values()):,.0f}",
            *(f"{cpu[r]:,.0f}" for r in roles),
            f"{client:,.0f}",
            str(sum(sum(c.errors.values()) for c in runs)),
        ]
        lines.append(table_row(values))
    return "\n".join(lines)


def table_row(values: list[str]) -> str:
    return "| " + " | ".join(values) + " |"


async def measure(arguments: argparse.Namespace) -> list[Cell]:
    home = Path(arguments.home) if arguments.home else None
    if arguments.endpoint:
        access = Access(
            endpoint=arguments.endpoint,
            access_key=arguments.access,
            secret_key=arguments.secret,
            region=arguments.region,
        )
    elif home:
        access = Access.of_home(home)
    else:
        raise SystemExit("give --home, or --endpoint with --access and --secret")
    signed = arguments.payload == "signed"
    bench = Bench(access, home, seconds=arguments.seconds, signed=signed)
    sizes = [parse_size(text) for text in arguments.sizes.split(",")]
    cells: list[Cell] = []
    await bench.prepare()
    for run in range(arguments.runs):
        for size in sizes:
            cells += await bench.size(run, size, arguments.conc)
        if not arguments.no_single:
            cells += await bench.size(run, sizes[0], 1)
    await bench.finish()
    return cells


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", help="the store's home: its key, and its processes' CPU")
    parser.add_argument("--endpoint")
    parser.add_argument("--access")
    parser.add_argument("--secret")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--sizes", default="4k,1m,16m")
    parser.add_argument("--conc", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--payload", choices=["signed", "unsigned"], default="signed")
    parser.add_argument(
        "--no-single", action="store_true", help="leave the one-connection cells out"
    )
    parser.add_argument("--out", help="write every cell of every run as JSON")
    arguments = parser.parse_args()
    cells = asyncio.run(measure(arguments))
    if arguments.out:
        Path(arguments.out).write_text(json.dumps([cell.summary() for cell in cells], indent=1))
    sys.stdout.write(report(cells) + "\n")
    return 1 if any(cell.errors for cell in cells) else 0


if __name__ == "__main__":
    sys.exit(main())
