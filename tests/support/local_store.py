"""A whole store on this machine for tests: what `make run` starts, on free ports, in a home of
its own.

Here: starting, waiting until it is ready, stopping, and its settings for tests (small segments,
short grace, a failing process started again at once). Not here: clients and load.

Promise: after `stop` none of its processes is left, whatever had happened to them.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from benchmarks import processes
from benchmarks.client import Access
from benchmarks.home import database_url
from tests.support.repository import REPOSITORY

READY_WITHIN_S = 180.0
STOP_WITHIN_S = 90.0

Found = TypeVar("Found")

# Small and quick, so that every state of a segment is passed through within seconds.
SMALL = {
    "OBJSTORE_NODES_RESERVE_BYTES": "16MiB",
    "OBJSTORE_NODES_RESERVE_FRACTION": "0",
    "OBJSTORE_CODING_SEGMENT_SIZE": "4MiB",
    "OBJSTORE_CODING_INLINE_FROM": "512KiB",
    "OBJSTORE_CODING_CELL_SIZE": "64KiB",
    "OBJSTORE_PACKING_SEAL_AFTER_S": "1",
    "OBJSTORE_PACKING_SEAL_MIN_BYTES": "64KiB",
    "OBJSTORE_PACKING_OPEN_MAX_S": "5",
    "OBJSTORE_PACKING_LEASE_S": "5",
    "OBJSTORE_JOBS_GRACE_S": "1",
    "OBJSTORE_JOBS_SWEEP_AFTER_S": "3",
    "OBJSTORE_LIMITS_PART_MIN_BYTES": "64KiB",
    "OBJSTORE_S3_WORKERS": "1",
    "OBJSTORE_JOBS_WORKERS": "1",
}


class LocalStore:
    """One store; its processes are children of one runner."""

    def __init__(self, home: Path, settings: Mapping[str, str] = SMALL) -> None:
        self.home = home
        self._settings = dict(settings)
        self._runner: subprocess.Popen[bytes] | None = None
        self._ports = free_ports(8)

    @property
    def access(self) -> Access:
        return Access.of_home(self.home)

    @property
    def database_url(self) -> str:
        return database_url(self.home)

    def start(self) -> None:
        """Start, or start again, and wait until `/ready`."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "runner.log").open("ab") as log:
            self._runner = subprocess.Popen(
                [sys.executable, "-m", "objstore_site.local"],
                cwd=REPOSITORY,
                env=self.environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.wait_until_ready()

    def has_runner(self) -> bool:
        """Is a runner of ours alive?"""
        return self._runner is not None and self._runner.poll() is None

    def is_ready(self) -> bool:
        """Does `/ready` say so now?"""
        return _status(f"http://127.0.0.1:{self._ports[0]}/ready") == 200

    def wait_until_ready(self) -> None:
        def is_ready() -> bool:
            if self._runner is not None and self._runner.poll() is not None:
                raise AssertionError(f"the store ended at start:\n{self.log_tail()}")
            return self.is_ready()

        wait_for(is_ready, "the store to be ready", within_s=READY_WITHIN_S, tail=self.log_tail)

    def stop(self) -> None:
        """End it as Ctrl-C does; kill what is left."""
        if self._runner is not None and self._runner.poll() is None:
            self._runner.send_signal(signal.SIGTERM)
            try:
                self._runner.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._runner.kill()
                self._runner.wait()
        self._runner = None
        self.kill_everything()

    def interrupt(self) -> int:
        """What Ctrl-C does; the runner's exit code."""
        assert self._runner is not None
        self._runner.send_signal(signal.SIGINT)
        code = self._runner.wait(STOP_WITHIN_S)
        self._runner = None
        return code

    def kill_runner(self) -> None:
        """SIGKILL to the runner alone."""
        assert self._runner is not None
        self._runner.kill()
        self._runner.wait()
        self._runner = None

    def kill_everything(self) -> None:
        """SIGKILL to the runner and whatever it had started."""
        if self._runner is not None:
            self._runner.kill()
            self._runner.wait()
            self._runner = None
        deadline = time.monotonic() + STOP_WITHIN_S
        while left := processes.of_home(self.home):
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            if time.monotonic() > deadline:
                raise AssertionError(f"processes do not end: {left}")
            time.sleep(0.1)

    def command(self, *arguments: str, within_s: float = 120.0) -> subprocess.CompletedProcess[str]:
        """A management command of this store, however it ends."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=REPOSITORY,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )

    def manage(self, *arguments: str) -> str:
        """What one says that succeeds."""
        done = self.command(*arguments)
        if done.returncode:
            raise AssertionError(f"manage.py {' '.join(arguments)}: {done.stderr[-2000:]}")
        return done.stdout

    def manage_json(self, *arguments: str) -> dict[str, object]:
        found = json.loads(self.manage(*arguments, "--json"))
        assert isinstance(found, dict)
        return found

    def log_tail(self) -> str:
        """The end of every log, for a failure's message."""
        parts = []
        for path in [self.home / "runner.log", *sorted((self.home / "logs").glob("*"))]:
            if path.is_file():
                text = path.read_text(errors="replace")
                parts.append(f"--- {path.name}\n{text[-1500:]}")
        return "\n".join(parts)

    def environment(self) -> dict[str, str]:
        """What every process of this store is told."""
        """What its processes and commands are started with."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("OBJSTORE_", "DATABASE_URL", "REDIS_URL", "DJANGO_", "PYTEST"))
        }
        s3, console, metrics, nodes = self._ports[:4]
        return {
            **kept,
            "OBJSTORE_HOME": str(self.home),
            "OBJSTORE_S3_PORT": str(s3),
            "OBJSTORE_CONSOLE_PORT": str(console),
            "OBJSTORE_METRICS_PORT": str(metrics),
            "OBJSTORE_NODE_PORT": str(nodes),
            **self._settings,
        }


@contextmanager
def running_store(settings: Mapping[str, str] = SMALL) -> Iterator[LocalStore]:
    """A started store in a home of its own; stopped and removed afterwards.

    Not below pytest's temporary directory: every test run that begins on this machine closes that
    to other users, and as root PostgreSQL runs as one.
    """
    home = Path(tempfile.mkdtemp(prefix="objstore-test-"))
    home.chmod(0o755)
    store = LocalStore(home, settings)
    try:
        store.start()
        yield store
    finally:
        store.stop()
        shutil.rmtree(home, ignore_errors=True)


def wait_for(
    question: Callable[[], Found],
    what: str,
    *,
    within_s: float = 120.0,
    tail: Callable[[], str] | None = None,
) -> Found:
    """Ask until the answer is true; AssertionError says what did not come about."""
    deadline = time.monotonic() + within_s
    while True:
        if answer := question():
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {within_s:.0f} s for {what}\n{tail() if tail else ''}")
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """Neighbouring ports that were free a moment ago, below the range the kernel hands out."""
    for _ in range(200):
        first = 12_000 + secrets.randbelow(18_000)
        ports = list(range(first, first + count))
        if all(_is_free(port) for port in ports):
            return ports
    raise AssertionError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return 0
