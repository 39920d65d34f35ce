"""Which drive a directory is: formatting it, reading its identity, and owning it.

Promise: serving never formats; a directory with a foreign, unknown or missing identity is refused
and nothing is written to it.
"""

import fcntl
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from core import clock
from storage_nodes.node.disk import CWD, Disk, OwnedFd

IDENTITY = "objstore.json"
FORMAT = "objstore drive"
VERSION = 1


class DriveRefused(Exception):
    """Why a path cannot be served, in one sentence."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What is written on a drive."""

    cluster: UUID
    drive: UUID


@dataclass(frozen=True, slots=True)
class Place:
    """Device and inode of a directory and of its identity file: changes when either is replaced."""

    root: tuple[int, int]
    identity: tuple[int, int]


def format_drive(path: Path, cluster: UUID, *, disk: Disk | None = None) -> Identity:
    """Write an identity into an empty directory, durably; an own identity there is kept.

    DriveRefused for a directory that holds anything else.
    """
    disk = disk or Disk()
    path.mkdir(parents=True, exist_ok=True)
    root = OwnedFd(disk.open_folder(str(path), root=CWD))
    if _exists(root.fd):
        return read_identity(root.fd, cluster)
    strangers = [name for name in os.listdir(root.fd) if name not in ("lost+found", _DRAFT)]
    if strangers:
        raise DriveRefused(f"{path} is not empty ({strangers[0]!r}); it was not formatted.")
    identity = Identity(cluster=cluster, drive=uuid4())
    _write_identity(disk, root.fd, identity)
    # The directory's own name may be as new as its content.
    parent = OwnedFd(disk.open_folder(str(path.parent), root=CWD))
    disk.fsync(parent.fd)
    return identity


def read_identity(root: int, cluster: UUID) -> Identity:
    """The identity in a directory, checked; DriveRefused when it is not this cluster's."""
    try:
        with open(IDENTITY, "rb", opener=_opener(root)) as file:
            stored = json.load(file)
        if stored["format"] != FORMAT:
            raise DriveRefused("The identity file is of another kind of store.")
        if stored["version"] > VERSION:
            raise DriveRefused(f"The drive's format {stored['version']} is newer than {VERSION}.")
        identity = Identity(cluster=UUID(stored["cluster"]), drive=UUID(stored["drive"]))
    except FileNotFoundError:
        raise DriveRefused("There is no identity file: unmounted, or never formatted.") from None
    except OSError as error:
        raise DriveRefused(f"The identity file cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        raise DriveRefused("The identity file is damaged.") from None
    if identity.cluster != cluster:
        raise DriveRefused(f"The drive belongs to another cluster, {identity.cluster}.")
    return identity


def lock(root: int) -> OwnedFd:
    """Own the drive until the descriptor is closed; DriveRefused while another daemon does."""
    held = OwnedFd(os.open("lock", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=root))
    try:
        fcntl.flock(held.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DriveRefused("Another daemon holds the drive's lock.") from None
    return held


def place_of(path: str) -> Place:
    """Where `path` leads now; OSError when it leads nowhere."""
    root, identity = os.stat(path), os.stat(f"{path}/{IDENTITY}")
    return Place((root.st_dev, root.st_ino), (identity.st_dev, identity.st_ino))


_DRAFT = f"{IDENTITY}.new"


def _write_identity(disk: Disk, root: int, identity: Identity) -> None:
    text = json.dumps(
        {
            "format": FORMAT,
            "version": VERSION,
            "cluster": str(identity.cluster),
            "drive": str(identity.drive),
            "formatted": clock.now().isoformat(),
        }
    )
    fd = OwnedFd(disk.open(_DRAFT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, root=root))
    disk.write(fd.fd, 0, [text.encode() + b"\n"])
    disk.fsync(fd.fd)
    disk.rename(_DRAFT, IDENTITY, root=root)
    disk.fsync(root)


def _exists(root: int) -> bool:
    try:
        os.stat(IDENTITY, dir_fd=root)
    except FileNotFoundError:
        return False
    return True


def _opener(root: int) -> Callable[[str, int], int]:
    return lambda path, flags: os.open(path, flags | os.O_CLOEXEC, dir_fd=root)
