"""One test run: its servers, its key, its databases.

The run owns one directory, in memory where the machine has room there, so that a slow disk cannot
make tests late; PostgreSQL's durable settings stay on. The first process (xdist's controller, or
pytest itself) makes it, workers join it by a variable they inherit.

Promises: nothing of an earlier run is adopted, what a killed run left behind is removed; servers
die with the process that started them; each worker has a home and databases of its own, all under
one master key.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import psycopg
import redis
from django.db import connections
from psycopg.conninfo import conninfo_to_dict

from core import config as configuration
from objstore_site.local.postgres import EmbeddedPostgres, create_database
from objstore_site.local.redis import EmbeddedRedis
from tests.support.repository import REPOSITORY

RUN_VARIABLE = "TEST_RUN_DIRECTORY"
PREFIX = "objstore-test-"
TEMPLATE = "objstore_template"
ROOM = 3 << 30


class Blocker(Protocol):
    """pytest-django's guard against unannounced database use."""

    def unblock(self) -> AbstractContextManager[None]: ...


class Run:
    """One process's part in a test run."""

    def __init__(self, directory: Path, worker: str, *, owns: bool) -> None:
        self.directory = directory
        self.worker = worker
        self.owns = owns
        self.home = directory / "homes" / worker
        self.postgres = EmbeddedPostgres(
            directory / "pg",
            directory / "sock",
            log=directory / "postgres.log",
            settings={"shared_buffers": "128MB", "max_connections": "300"},
        )
        self.redis = EmbeddedRedis(directory / "redis")
        self._started = not owns
        self._counter = 0
        self._worker_database: str | None = None

    def start_servers(self) -> None:
        """Start both, once; the first test that needs one, or xdist's controller, asks."""
        if self._started:
            return
        self.postgres.start()
        self.redis.start()
        self._started = True

    def stop_servers(self) -> None:
        """Stop both and remove the run's directory."""
        self.postgres.stop()
        self.redis.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def worker_database(self) -> str:
        """The URL of this worker's own database, made from the template on first use."""
        if self._worker_database is None:
            name = f"objstore_{self.worker}"
            self._clone(name)
            self._worker_database = self.postgres.url(name)
        return self._worker_database

    @contextmanager
    def fresh_database(self, blocker: Blocker) -> Iterator[str]:
        """A database nobody used before: Django and the configuration point at it inside the
        block.
        """
        self._counter += 1
        name = f"objstore_{self.worker}_{self._counter}"
        self._clone(name)
        url = self.postgres.url(name)
        with blocker.unblock(), pointed_at(url):
            yield url
        with psycopg.connect(self.postgres.url("postgres"), autocommit=True) as connection:
            connection.execute(f'drop database if exists "{name}" with (force)')

    def empty_redis(self) -> str:
        """This worker's Redis database, emptied."""
        self.start_servers()
        url = self.redis.url(_redis_number(self.worker))
        with redis.Redis.from_url(url) as client:
            client.flushdb()
        return url

    def process_environment(self, database_url: str) -> dict[str, str]:
        """What child processes need to share a database and this worker's home."""
        changes = _variables(self, database_url)
        return configuration.environment(changes)

    def _clone(self, name: str) -> None:
        self.start_servers()
        with _locked(self.directory / "template.lock"):
            self._make_template()
            create_database(self.postgres.url("postgres"), name, template=TEMPLATE)

    def _make_template(self) -> None:
        done = self.directory / "template.done"
        if done.exists():
            return
        create_database(self.postgres.url("postgres"), TEMPLATE)
        migrated = subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
            cwd=REPOSITORY,
            env=self.process_environment(self.postgres.url(TEMPLATE)),
            capture_output=True,
            text=True,
            check=False,
        )
        if migrated.returncode != 0:
            raise RuntimeError(f"the migrations fail:\n{migrated.stdout}{migrated.stderr}")
        with psycopg.connect(self.postgres.url("postgres"), autocommit=True) as connection:
            # Nobody connects any more, autovacuum neither: a busy template cannot be copied.
            connection.execute(f"alter database {TEMPLATE} with allow_connections false")
        done.touch()


_run: Run | None = None


def current() -> Run:
    """The run this process is part of."""
    assert _run is not None
    return _run


def begin() -> None:
    """Make a run of our own (the controller, or pytest without workers)."""
    global _run
    base = _base()
    _sweep(base)
    directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
    # PostgreSQL's account must be able to pass through, and read nothing.
    directory.chmod(0o711)
    _own_until_death(directory)
    (directory / "keys").mkdir()
    (directory / "keys" / "master.key").write_text(secrets.token_hex(32) + "\n")
    _run = Run(directory, "main", owns=True)
    _enter(_run)
    os.environ[RUN_VARIABLE] = str(directory)
    signal.signal(signal.SIGTERM, _stop_like_ctrl_c)


def join(worker: str) -> None:
    """Take part in the controller's run."""
    global _run
    _run = Run(Path(os.environ[RUN_VARIABLE]), worker, owns=False)
    _enter(_run)


def end() -> None:
    """Stop the servers of a run of our own."""
    if _run is not None and _run.owns:
        _run.stop_servers()


@contextmanager
def pointed_at(url: str) -> Iterator[None]:
    """Django and the configuration use this database inside the block."""
    before = connections.settings["default"]["NAME"]
    with configuration.override(database={"url": url}):
        _point_django_at(conninfo_to_dict(url)["dbname"])
        try:
            yield
        finally:
            _point_django_at(before)


def _enter(run: Run) -> None:
    run.home.mkdir(parents=True, exist_ok=True)
    for name in [*os.environ]:
        if name.startswith(("OBJSTORE_", "AWS_")):
            del os.environ[name]
    os.environ.update(_variables(run, run.postgres.url(f"objstore_{run.worker}")))
    os.environ["DJANGO_SETTINGS_MODULE"] = "objstore_site.settings"


def _variables(run: Run, database_url: str) -> dict[str, str]:
    return {
        "OBJSTORE_HOME": str(run.home),
        "DATABASE_URL": database_url,
        "REDIS_URL": run.redis.url(_redis_number(run.worker)),
        "OBJSTORE_CRYPTO_MASTER_KEY_FILE": str(run.directory / "keys" / "master.key"),
        "OBJSTORE_NODES_KEY_FILE": str(run.directory / "keys" / "node.key"),
        # Small test machines: the reserve of a real drive would refuse every write.
        "OBJSTORE_NODES_RESERVE_BYTES": "1MiB",
        "OBJSTORE_NODES_RESERVE_FRACTION": "0",
    }


def _redis_number(worker: str) -> int:
    digits = "".join(letter for letter in worker if letter.isdigit())
    return 1 + int(digits) if digits else 0


def _base() -> Path:
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOM:
        return memory
    return Path(tempfile.gettempdir())


_owner_locks: list[int] = []


def _own_until_death(directory: Path) -> None:
    """Hold a lock that the kernel lets go when this process dies, however it dies."""
    descriptor = os.open(directory / "owner.lock", os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    _owner_locks.append(descriptor)


def _sweep(base: Path) -> None:
    """Remove runs whose owner is gone."""
    for left in base.glob(PREFIX + "*"):
        try:
            descriptor = os.open(left / "owner.lock", os.O_RDWR)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            EmbeddedPostgres(left / "pg", left / "sock").stop()
            EmbeddedRedis(left / "redis").stop()
            shutil.rmtree(left, ignore_errors=True)
        except OSError:
            pass
        finally:
            os.close(descriptor)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    descriptor = os.open(file, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _point_django_at(name: str) -> None:
    """Every thread's next connection goes to this database; ours is closed now."""
    connections["default"].close()
    connections.settings["default"]["NAME"] = name


def _stop_like_ctrl_c(signum: int, frame: object) -> None:
    raise KeyboardInterrupt
