"""The home of a local store: its directories, its lock, its small files.

Here: making the tree, refusing a second runner, finding short paths for sockets, free space.
Not here: what the processes keep in it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from core.config import config
from objstore_site.local.complaint import Complaint
from objstore_site.local.postgres import LONGEST_SOCKET_DIRECTORY

# Starting needs room for a database, its log and a few drives' first files.
ROOM_TO_START = 512 << 20


@dataclass
class Home:
    """Where one store keeps everything."""

    path: Path
    room_to_start: int = ROOM_TO_START
    _lock: int = field(default=-1, repr=False)

    @property
    def run(self) -> Path:
        """Pid files, locks, sockets, addresses: meaningless once nothing runs."""
        return self.path / "run"

    @property
    def logs(self) -> Path:
        """One file per process."""
        return self.path / "logs"

    @property
    def database(self) -> Path:
        """The embedded PostgreSQL's data."""
        return self.path / "postgresql"

    @property
    def credentials(self) -> Path:
        """The first key and the admin's password."""
        return self.path / "credentials.json"

    def prepare(self) -> None:
        """Make the tree; one sentence when it cannot be used."""
        try:
            self.path.mkdir(mode=0o711, parents=True, exist_ok=True)
            for directory, mode in ((self.run, 0o711), (self.logs, 0o700)):
                directory.mkdir(mode=mode, exist_ok=True)
            (self.path / "keys").mkdir(mode=0o700, exist_ok=True)
            os.listdir(self.path)
            (self.run / "probe").write_bytes(b"x")
            (self.run / "probe").unlink()
        except OSError as why:
            raise Complaint(f"The home {self.path} cannot be used: {why.strerror}.") from why
        free = shutil.disk_usage(self.path).free
        if free < self.room_to_start:
            raise Complaint(
                f"The disk of {self.path} is full: {free >> 20} MiB are free,"
                f" starting needs {self.room_to_start >> 20} MiB."
            )

    def lock(self) -> None:
        """Be the only runner of this home until this process ends."""
        descriptor = os.open(self.run / "runner.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(descriptor, 32, 0).decode().strip() or "unknown"
            os.close(descriptor)
            raise Complaint(
                f"A store of {self.path} already runs (process {pid}). Stop it, or set"
                " OBJSTORE_HOME and other ports to run a second one."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._lock = descriptor

    def sockets(self) -> Path:
        """A directory whose socket paths fit: `run`, or a short one for a home far down."""
        if len(str(self.run / "postgresql")) <= LONGEST_SOCKET_DIRECTORY - 20:
            return self.run
        name = hashlib.sha256(str(self.path).encode()).hexdigest()[:12]
        short = Path(tempfile.gettempdir()) / f"objstore-{os.geteuid()}-{name}"
        short.mkdir(mode=0o711, exist_ok=True)
        found = short.lstat()
        if found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode):
            raise Complaint(f"{short} belongs to somebody else; set OBJSTORE_HOME to a short path.")
        return short


def local_drives(number: int) -> list[Path]:
    """The directories that stand for drives of node `number` of this home."""
    node_home = config().home / "drives" / f"node-{number}"
    return [node_home / f"drive-{i}" for i in range(1, config().cluster.drives + 1)]
