"""`python -m benchmarks.yardsticks`: this store beside s3rver and moto, by one generator, by turns.

s3rver comes from npm, moto from pip, each into a temporary folder, started on loopback and removed
afterwards. Each run asks the same of every store in turn, `benchmarks.s3`'s PUT, GET, HEAD and
DELETE; this store is waited for until it has coded what was put, so that nobody pays for another.
The table shows medians and what this store does for each unit of the others. They are yardsticks,
not equals: s3rver keeps one copy and never syncs it, moto keeps everything in memory and checks no
signature. What a peer gets wrong under load counts as its errors (s3rver answers some DELETEs with
500). One that cannot be had is said so, in capitals, and makes the exit status 1.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from benchmarks.client import Access
from benchmarks.own_store import own_store, wait_until_idle
from benchmarks.s3 import KIB, Bench, Cell, human, parse_size, table_row
from tests.support.local_store import free_ports

OURS = "objstore"
INSTALL_WITHIN_S = 600
ANSWERS_WITHIN_S = 120.0
STOPS_WITHIN_S = 20.0


class Missing(Exception):
    """A peer cannot be had here; the text says why."""


@dataclass(frozen=True)
class Peer:
    """Another store: how it comes into a folder, how it is started there, its key."""

    install: Callable[[Path], None]
    command: Callable[[Path, int], list[str]]
    access_key: str
    secret_key: str


def _install_s3rver(folder: Path) -> None:
    (folder / "package.json").write_text('{"private": true}')
    _run(folder, "npm", "install", "--no-audit", "--no-fund", "--loglevel=error", "s3rver")


def _s3rver(folder: Path, port: int) -> list[str]:
    (folder / "data").mkdir()
    program = folder / "node_modules" / ".bin" / "s3rver"
    return [str(program), "-d", str(folder / "data"), "-a", "127.0.0.1", "-p", str(port), "-s"]


def _install_moto(folder: Path) -> None:
    _run(folder, sys.executable, "-m", "venv", ".")
    quiet = ("--quiet", "--disable-pip-version-check", "--prefer-binary")
    _run(folder, "bin/python", "-m", "pip", "install", *quiet, "moto[server]")


def _moto(folder: Path, port: int) -> list[str]:
    return [str(folder / "bin" / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]


PEERS = {
    "s3rver": Peer(_install_s3rver, _s3rver, "S3RVER", "S3RVER"),
    "moto": Peer(_install_moto, _moto, "any", "any"),
}


def _run(folder: Path, *command: str) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=INSTALL_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as why:
        raise Missing(f"{command[0]}: {why}") from why
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Missing(f"{' '.join(command[:4])}: {said[-1] if said else done.returncode}")


@contextmanager
def running(peer: Peer) -> Iterator[Access]:
    """A peer, installed and started; nothing is left of it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="objstore-yardstick-"))
    process = None
    try:
        peer.install(folder)
        (port,) = free_ports(1)
        process = subprocess.Popen(
            peer.command(folder, port),
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        endpoint = f"http://127.0.0.1:{port}"
        _wait_for(endpoint, process)
        yield Access(endpoint=endpoint, access_key=peer.access_key, secret_key=peer.secret_key)
    finally:
        if process is not None:
            process.terminate()
            try:
                process.wait(STOPS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(endpoint: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + ANSWERS_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Missing(f"it ended at start with exit status {process.returncode}")
        try:
            urlopen(endpoint, timeout=5).close()
        except HTTPError:
            return  # it answers; what does not matter
        except (URLError, OSError):
            time.sleep(0.2)
        else:
            return
    raise Missing("it does not answer")


async def measure(
    access: Access, run: int, sizes: list[int], given: argparse.Namespace
) -> list[Cell]:
    """One run over all sizes."""
    bench = Bench(access, None, seconds=given.seconds, signed=given.payload == "signed")
    await bench.prepare()
    cells = []
    for size in sizes:
        cells += await bench.size(run, size, given.conc)
    await bench.finish()
    return cells


def report(found: dict[str, list[Cell]], conc: int, missing: dict[str, str]) -> str:
    """Medians, one row per store, then how many times each peer this store does."""
    names = [(cell.op, cell.size) for cell in found[OURS]]
    columns = [column for column in dict.fromkeys(names) if column[0] != "DELETE"]
    rates = {
        store: [_rate(cells, op, size) for op, size in columns] for store, cells in found.items()
    }
    titles = [f"{op} {human(size)} {_unit(size)}" for op, size in columns]
    lines = [
        f"{conc} connections, medians; {os.cpu_count()} cores, shared with the client;"
        f" load {os.getloadavg()[0]:.1f}",
        "",
        table_row(["", *titles, "errors"]),
        table_row(["---"] * (len(titles) + 2)),
    ]
    for store, values in rates.items():
        errors = sum(sum(cell.errors.values()) for cell in found[store])
        lines.append(table_row([store, *(f"{value:,.0f}" for value in values), str(errors)]))
    for store in list(rates)[1:]:
        times = [
            f"{a / b:.1f}x" if b else "-" for a, b in zip(rates[OURS], rates[store], strict=True)
        ]
        lines.append(table_row([f"{OURS} / {store}", *times, ""]))
    lines += [f"NOT MEASURED: {store}: {why}" for store, why in missing.items()]
    return "\n".join(lines)


def _rate(cells: list[Cell], op: str, size: int) -> float:
    chosen = [cell for cell in cells if (cell.op, cell.size) == (op, size)]
    small = size <= 64 * KIB
    return statistics.median(c.per_second if small else c.mb_per_second for c in chosen)


def _unit(size: int) -> str:
    return "/s" if size <= 64 * KIB else "MB/s"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="measure the store of this home, not an own one")
    parser.add_argument("--sizes", default="4k,1m,16m")
    parser.add_argument("--conc", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--payload", choices=["signed", "unsigned"], default="signed")
    parser.add_argument("--peers", default=",".join(PEERS), help="those to be measured")
    given = parser.parse_args()
    sizes = [parse_size(text) for text in given.sizes.split(",")]
    missing: dict[str, str] = {}
    with ExitStack() as everything:
        home = given.home or everything.enter_context(own_store()).home
        stores = {OURS: Access.of_home(home)}
        for name in given.peers.split(","):
            try:
                stores[name] = everything.enter_context(running(PEERS[name]))
            except Missing as why:
                missing[name] = str(why)
                sys.stderr.write(f"NOT MEASURED: {name}: {why}\n")
        found: dict[str, list[Cell]] = {name: [] for name in stores}
        for run in range(given.runs):
            for name, access in stores.items():
                wait_until_idle(home)
                sys.stderr.write(f"run {run + 1} of {given.runs}: {name}\n")
                found[name] += asyncio.run(measure(access, run, sizes, given))
    print(report(found, given.conc, missing))
    failed = any(cell.errors for cell in found[OURS])
    return 1 if missing or failed else 0


if __name__ == "__main__":
    sys.exit(main())
