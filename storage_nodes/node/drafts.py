"""Files of a drive that have no published name yet.

Here: making them, unnamed where the file system can, else in a folder of their own; giving them a
name that is free. Not here: the order of fsyncs (`drive`), names that are taken (`trash`).

Promise: what a crash leaves of them nobody can reach by a shard's name, and `sweep` removes it.
OSErrors are the caller's to judge.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from storage_nodes.node.disk import UNSUPPORTED, Disk, OwnedFd
from storage_nodes.node.folders import Folders
from storage_nodes.shard_name import FileName

FOLDER = "tmp"


class OpenFile:
    """A shard being written: the node's own descriptor, and the presence it belongs to."""

    __slots__ = ("fd", "name", "presence", "published", "temporary")

    def __init__(self, name: FileName, fd: OwnedFd, temporary: str | None, presence: int) -> None:
        self.name = name
        self.fd = fd
        self.temporary = temporary
        self.presence = presence
        self.published = False


class Drafts:
    """The unpublished files of one presence of a drive."""

    def __init__(self, disk: Disk, root: OwnedFd, folders: Folders) -> None:
        self._disk = disk
        self._root = root
        self._folders = folders

    def new(self, name: FileName, presence: int) -> OpenFile:
        """An empty file that is to have this name."""
        folder = self._folders.open(name.folder)
        try:
            return OpenFile(name, OwnedFd(self._disk.open_unnamed(folder.fd)), None, presence)
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
        self._folders.open(FOLDER)
        path = f"{FOLDER}/{_unique(name)}"
        fd = self._disk.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, root=self._root.fd)
        return OpenFile(name, OwnedFd(fd), path, presence)

    def link(self, file: OpenFile, folder: int) -> None:
        """Give it its name in the open `folder`; FileExistsError when another file has it."""
        if file.temporary is None:
            self._disk.link_unnamed(file.fd.fd, str(file.name), folder=folder)
        else:
            self._disk.link(file.temporary, file.name.path, root=self._root.fd)

    @contextmanager
    def named(self, file: OpenFile) -> Iterator[str]:
        """A path that leads to the file until it is renamed or this ends."""
        folder = self._folders.open(FOLDER)
        text = _unique(file.name)
        self._disk.link_unnamed(file.fd.fd, text, folder=folder.fd)
        path = f"{FOLDER}/{text}"
        try:
            yield path
        finally:
            self._unlink_quietly(path)

    def discard(self, file: OpenFile) -> None:
        """Forget the name it has among the drafts, if it has one."""
        if file.temporary is not None:
            self._unlink_quietly(file.temporary)
            file.temporary = None

    def sweep(self) -> None:
        """Remove what writers of an earlier presence left unpublished."""
        folder = self._folders.open(FOLDER)
        for text in os.listdir(folder.fd):
            self._unlink_quietly(f"{FOLDER}/{text}")

    def _unlink_quietly(self, path: str) -> None:
        # What stays is swept at the next start; nobody can reach it by a shard's name.
        with suppress(OSError):
            self._disk.unlink(path, root=self._root.fd)


def _unique(name: FileName) -> str:
    return f"{name}.{secrets.token_hex(8)}"
