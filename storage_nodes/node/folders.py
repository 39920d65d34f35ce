"""Folders of a drive whose own names are durable."""

import threading
from contextlib import suppress

from storage_nodes.node.disk import Disk, OwnedFd


class Folders:
    """Makes folders on first use and knows which ones a power cut cannot take away."""

    def __init__(self, disk: Disk, root: OwnedFd) -> None:
        self._disk = disk
        self._root = root
        self._durable: set[str] = set()
        self._lock = threading.Lock()

    def open(self, path: str) -> OwnedFd:
        """The folder, made if need be; every name on the way to it is durable on return."""
        if path not in self._durable:
            with self._lock:
                self._make_durable(path)
        return OwnedFd(self._disk.open_folder(path, root=self._root.fd))

    def sync(self, path: str) -> None:
        """What was linked into, renamed or unlinked in the folder is durable on return."""
        folder = self.open(path)
        self._disk.fsync(folder.fd)

    def _make_durable(self, path: str) -> None:
        parent = "."
        for end in [at for at, char in enumerate(path) if char == "/"] + [len(path)]:
            step = path[:end]
            if step not in self._durable:
                # When it exists, whoever made it may have died before the fsync below.
                with suppress(FileExistsError):
                    self._disk.mkdir(step, root=self._root.fd)
                above = OwnedFd(self._disk.open_folder(parent, root=self._root.fd))
                self._disk.fsync(above.fd)
                self._durable.add(step)
            parent = step
