"""Trashed shards of a drive: out of the way, restorable for a while, then unlinked.

Promise: a shard is under its name, or in the trash, or was unlinked on purpose; a crash between
any two steps leaves it in one of the first two.
"""

import os
import re
import threading
from contextlib import suppress
from dataclasses import dataclass

from core import clock, failpoints
from storage_nodes.node.disk import Disk, OwnedFd
from storage_nodes.node.folders import Folders
from storage_nodes.shard_name import FileName, parse_name

FOLDER = "trash"
_ENTRY = re.compile(r"([0-9]{1,16})-(.+)", re.ASCII)

_renamed = failpoints.declare(
    "node.trash.renamed", point="C13", doc="shard renamed into the trash, folders not yet durable"
)
_durable = failpoints.declare(
    "node.trash.durable", point="C13", doc="shard durably in the trash, what follows not done"
)
_before_unlink = failpoints.declare(
    "node.trash.before_unlink", point="C13", doc="about to unlink a trashed shard for good"
)


@dataclass(frozen=True, slots=True)
class _Entry:
    name: FileName
    at_ms: int
    size_bytes: int

    @property
    def path(self) -> str:
        return f"{FOLDER}/{self.at_ms:013d}-{self.name}"


class Trash:
    """The trash of one presence of a drive. OSErrors are the caller's to judge."""

    def __init__(self, disk: Disk, root: OwnedFd, folders: Folders) -> None:
        self._disk = disk
        self._root = root
        self._folders = folders
        self._lock = threading.Lock()
        self._entries: dict[FileName, _Entry] = {}
        # Nothing is made here: a fenced drive must be served for reading as it is.
        for text in sorted(_names(root.fd)):
            self._adopt(text)

    @property
    def size_bytes(self) -> int:
        with self._lock:
            return sum(entry.size_bytes for entry in self._entries.values())

    def find(self, name: FileName) -> str | None:
        """Where the trash keeps `name`."""
        with self._lock:
            entry = self._entries.get(name)
        return entry.path if entry else None

    def put(self, name: FileName) -> bool:
        """Move a published shard here, durably; False when there is none."""
        # Nothing is moved into a folder that a power cut could take away.
        self._folders.make_durable(FOLDER)
        with self._lock:
            entry = self._entry(name)
            if entry is None:
                return False
            self._disk.rename(name.path, entry.path, root=self._root.fd)
            self._enter(entry)
        _renamed.hit()
        # First where it went, then where it came from: in between it has two names, never none.
        self._folders.sync(FOLDER)
        self._folders.sync(name.folder)
        _durable.hit()
        return True

    def supplant(self, name: FileName, by: str) -> None:
        """The durable file at the path `by` takes over the name, and what had it is here from then
        on. The name leads to one of the two whenever a crash comes; to `by` durably once the name's
        folder is synced.
        """
        self._folders.make_durable(FOLDER)
        with self._lock:
            entry = self._entry(name)
            if entry is not None and not self._are_one(name.path, by):
                self._disk.link(name.path, entry.path, root=self._root.fd)
                self._enter(entry)
                self._folders.sync(FOLDER)
                _durable.hit()
            self._disk.rename(by, name.path, root=self._root.fd)

    def restore(self, name: FileName) -> bool:
        """Give a trashed shard its name back, durably; False when it is nowhere."""
        with self._lock:
            entry = self._entries.get(name)
            if entry is None:
                return _exists(name.path, self._root)
            self._folders.open(name.folder)
            # It exists when a crash came between this link and the unlink below.
            with suppress(FileExistsError):
                self._disk.link(entry.path, name.path, root=self._root.fd)
            self._folders.sync(name.folder)
            self._disk.unlink(entry.path, root=self._root.fd)
            del self._entries[name]
        self._folders.sync(FOLDER)
        return True

    def unlink_older(self, than_ms: int) -> int:
        """Delete what was trashed before then; how many files."""
        with self._lock:
            old = [entry for entry in self._entries.values() if entry.at_ms < than_ms]
            return sum(map(self._unlink, old))

    def shrink(self, *, at_most: int, but_at_least: int = 0) -> int:
        """Delete oldest first until at most `at_most` bytes are left and `but_at_least` bytes
        were freed; how many bytes were freed."""
        freed = 0
        with self._lock:
            size = sum(entry.size_bytes for entry in self._entries.values())
            for entry in sorted(self._entries.values(), key=lambda each: each.at_ms):
                if size - freed <= at_most and freed >= but_at_least:
                    break
                self._unlink(entry)
                freed += entry.size_bytes
        return freed

    def _entry(self, name: FileName) -> _Entry | None:
        """Where the file of that name goes now; None when there is none."""
        try:
            found = os.stat(name.path, dir_fd=self._root.fd)
        except FileNotFoundError:
            return None
        older = self._entries.get(name)
        at_ms = max(int(clock.timestamp() * 1000), older.at_ms + 1 if older else 0)
        return _Entry(name, at_ms, found.st_blocks * 512)

    def _enter(self, entry: _Entry) -> None:
        """Of one name the newest is kept."""
        older = self._entries.get(entry.name)
        if older is not None:
            self._unlink(older)
        self._entries[entry.name] = entry

    def _are_one(self, path: str, other: str) -> bool:
        return os.path.samestat(
            os.stat(path, dir_fd=self._root.fd), os.stat(other, dir_fd=self._root.fd)
        )

    def _unlink(self, entry: _Entry) -> bool:
        _before_unlink.hit()
        del self._entries[entry.name]
        try:
            self._disk.unlink(entry.path, root=self._root.fd)
        except FileNotFoundError:
            return False
        return True

    def _adopt(self, text: str) -> None:
        """Take up an entry found at start; strangers in the folder are left alone."""
        match = _ENTRY.fullmatch(text)
        try:
            name = parse_name(match[2]) if match else None
        except ValueError:
            name = None
        if match is None or name is None:
            return
        size_bytes = os.stat(f"{FOLDER}/{text}", dir_fd=self._root.fd).st_blocks * 512
        entry = _Entry(name, int(match[1]), size_bytes)
        if entry.path != f"{FOLDER}/{text}":
            return
        self._enter(entry)


def _names(root: int) -> list[str]:
    try:
        fd = OwnedFd(os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root))
    except FileNotFoundError:
        return []
    return os.listdir(fd.fd)


def _exists(path: str, root: OwnedFd) -> bool:
    try:
        os.stat(path, dir_fd=root.fd)
    except FileNotFoundError:
        return False
    return True
