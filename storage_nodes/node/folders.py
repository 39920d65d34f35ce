"""Folders of a drive, and the promise that a name in one survives a power cut.

Folders are made when they are needed and made durable together with the first name published in
them: after the fsync of the folder itself, its parents' are nearly free.
"""

import threading
from contextlib import suppress

from storage_nodes.node.disk import Disk, OwnedFd

_ROOT = "."


class Folders:
    """Makes folders on first use and knows which ones a power cut cannot take away."""

    def __init__(self, disk: Disk, root: OwnedFd) -> None:
        self._disk = disk
        self._root = root
        # Folders whose own name is known to be durable; found ones are not: whoever made them may
        # have died before the fsync.
        self._durable: set[str] = set()
        self._lock = threading.Lock()

    def open(self, path: str) -> OwnedFd:
        """The folder, made if need be. Durable only after `sync`."""
        with suppress(FileNotFoundError):
            return OwnedFd(self._disk.open_folder(path, root=self._root.fd))
        for step in (*reversed(_parents(path)), path):
            with suppress(FileExistsError):
                self._disk.mkdir(step, root=self._root.fd)
        return OwnedFd(self._disk.open_folder(path, root=self._root.fd))

    def make_durable(self, path: str) -> None:
        """The folder exists, and a power cut leaves it there."""
        if path not in self._durable:
            self.sync(path)

    def sync(self, path: str) -> None:
        """What was linked into, renamed or unlinked in the folder is durable on return, and so is
        every name on the way to it.
        """
        folder = self.open(path)
        self._disk.fsync(folder.fd)
        if path not in self._durable:
            with self._lock:
                self._sync_parents(path)

    def _sync_parents(self, path: str) -> None:
        below = path
        for parent in (*_parents(path), _ROOT):
            if below in self._durable:
                return
            folder = OwnedFd(self._disk.open_folder(parent, root=self._root.fd))
            self._disk.fsync(folder.fd)
            below = parent
        self._durable.update((path, *_parents(path)))


def _parents(path: str) -> list[str]:
    """`a/b/c` -> `a/b`, `a`: nearest first."""
    found = []
    while "/" in path:
        path = path.rpartition("/")[0]
        found.append(path)
    return found
