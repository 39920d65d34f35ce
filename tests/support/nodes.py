"""Real storage-node daemons for tests, on any free port, over drives of a test's own.

Promise: `stop` leaves none of their processes; a drive is a directory under the given one.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from time import monotonic, sleep
from uuid import UUID, uuid4

import psycopg

from core import config as configuration
from core.ring import Ring
from storage_nodes.node import keyfile
from storage_nodes.node.disk import Disk
from storage_nodes.node.host import this_host
from storage_nodes.node.identity import format_drive
from storage_nodes.stores.http import HttpNode, HttpShardStore
from storage_nodes.stores.local import LocalShardStore
from tests.support.repository import REPOSITORY

WITHIN_S = 60.0
# The machine's disk is shared with whoever else runs tests: no reserve.
SETTINGS = {"OBJSTORE_NODES_RESERVE_BYTES": "0", "OBJSTORE_NODES_RESERVE_FRACTION": "0"}


class RunningNode:
    """One daemon and its drives."""

    def __init__(
        self,
        home: Path,
        *,
        name: str = "node-1",
        drives: int = 1,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        self.id = uuid4()
        self.name = name
        self.zone = f"zone of {name}"
        self.settings = {**SETTINGS, "OBJSTORE_HOME": str(home), **(settings or {})}
        self.key = keyfile.load_or_create(home / "keys" / "node.key")
        self.paths = [home / "drives" / name / f"drive-{n}" for n in range(1, drives + 1)]
        self.drives = [format_drive(path, self.key.cluster).drive for path in self.paths]
        self.address = ""
        self.socket = home / "run" / f"{name}.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, or start again, and wait until it answers."""
        ready = self.home / f"{self.name}.ready"
        ready.unlink(missing_ok=True)
        with (self.home / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "storage_nodes.node", *self._arguments(ready)],
                cwd=REPOSITORY,
                env=configuration.environment(self.settings),
                stdout=log,
                stderr=log,
            )
        wait_until(lambda: ready.exists() or self._process.poll() is not None)
        assert ready.exists(), self.log()
        self.address = json.loads(ready.read_text())["address"]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self) -> int:
        """End it politely; its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def wait_dead(self) -> int:
        """Wait until it ended by itself (a failpoint); its exit code."""
        assert self._process is not None
        return self._process.wait(WITHIN_S)

    def log(self) -> str:
        return (self.home / f"{self.name}.log").read_text()

    def arm(self, failpoints: str) -> None:
        """Arm failpoints of the running daemon through the control file."""
        draft = self.home / "failpoints.new"
        draft.write_text(failpoints)
        draft.replace(self.home / "failpoints")
        # The daemon looks at the file every 0.2 s, when a failpoint is passed.
        sleep(0.25)

    def local(
        self,
        number: int = 0,
        disk: Disk | None = None,
        ring: Ring | None = None,
        patience_s: float | None = None,
    ) -> LocalShardStore:
        return LocalShardStore(
            self.drives[number],
            socket=self.socket,
            secret=self.key.secret,
            timeout_s=WITHIN_S,
            disk=disk,
            ring=ring,
            patience_s=patience_s,
        )

    def http(self, number: int = 0) -> "OwnHttpStore":
        return OwnHttpStore(self.drives[number], self.http_node())

    def http_node(self) -> HttpNode:
        return HttpNode(self.address, secret=self.key.secret, timeout_s=WITHIN_S)

    def _arguments(self, ready: Path) -> list[str]:
        return [
            *("--node", self.name, "--port", "0", "--ready-file", str(ready)),
            *("--key-file", str(self.home / "keys" / "node.key"), "--socket", str(self.socket)),
            *("--drives", *map(str, self.paths)),
        ]

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            return self._process.wait(WITHIN_S)
        finally:
            self._process.kill()
            self._process.wait()


class OwnHttpStore(HttpShardStore):
    """A store that closes its node's connections with itself."""

    def __init__(self, drive: UUID, node: HttpNode) -> None:
        super().__init__(drive, node)
        self.node = node

    async def close(self) -> None:
        await self.node.close()


@contextmanager
def running_node(
    *, drives: int = 1, settings: Mapping[str, str] | None = None
) -> Iterator[RunningNode]:
    """A daemon in a directory of its own."""
    home = Path(tempfile.mkdtemp(prefix="node-"))
    node = RunningNode(home, drives=drives, settings=settings)
    try:
        node.start()
        yield node
    finally:
        node.kill()
        shutil.rmtree(home, ignore_errors=True)


@asynccontextmanager
async def opened(
    node: RunningNode,
    drive: int = 0,
    disk: Disk | None = None,
    ring: Ring | None = None,
    patience_s: float | None = None,
) -> AsyncIterator[LocalShardStore]:
    """One of its drives, over the socket."""
    store = node.local(drive, disk, ring, patience_s)
    yield store
    await store.close()


def make_known(rows: psycopg.Connection[tuple[object, ...]], node: RunningNode) -> list[int]:
    """What registration writes into the database, for async tests; the drives' numbers."""
    zone = ("insert into zone (name) values (%s) on conflict (name) do nothing", [node.zone])
    rows.execute(*zone)
    rows.execute(
        "insert into node (id, name, zone_id, address, socket, host)"
        " select %s, %s, id, %s, %s, %s from zone where name = %s",
        [node.id, node.name, node.address, str(node.socket), this_host(), node.zone],
    )
    with rows.cursor() as cursor:
        for uuid, path in zip(node.drives, node.paths, strict=True):
            cursor.execute(
                "insert into drive (uuid, node_id, path, size_bytes, free_bytes, device)"
                " values (%s, %s, %s, 1::bigint << 40, 1::bigint << 39, 1)",
                [uuid, node.id, str(path)],
            )
        cursor.execute("select id from drive where node_id = %s order by path", [node.id])
        return [int(str(number)) for (number,) in cursor]


def wait_until(condition, within_s: float = WITHIN_S) -> None:  # type: ignore[no-untyped-def]
    """Wait for a condition; fail the test when it does not come true."""
    deadline = monotonic() + within_s
    while not condition():
        assert monotonic() < deadline, "it did not come true in time"
        sleep(0.02)


async def eventually(question, answer, within_s: float = WITHIN_S) -> None:  # type: ignore[no-untyped-def]
    """Ask until the awaited answer comes; exceptions count as other answers by their type."""
    deadline = monotonic() + within_s
    found: object = None
    while monotonic() < deadline:
        try:
            found = await question()
        except Exception as error:
            found = type(error)
        if found == answer:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{found!r} and never {answer!r}")


def files_below(path: Path) -> list[str]:
    """Relative names of all files, sorted."""
    return sorted(
        os.path.relpath(os.path.join(folder, name), path)
        for folder, _, found in os.walk(path)
        for name in found
    )
