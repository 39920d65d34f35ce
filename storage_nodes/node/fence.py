"""The durable fence of a drive: up on the first write or fsync error, down when a person says so.

The flag in the shared page goes up first, so that every holder stops counting; then two files make
it durable, one on the drive and one beside the node's state, because the drive may refuse.
"""

import errno as errors
import json
import logging
import os
import threading
from pathlib import Path

from core import clock
from storage_nodes.node.disk import CWD, Disk, OwnedFd
from storage_nodes.node.page import FENCED, Page

log = logging.getLogger(__name__)
_FILE = "fence"


class Fence:
    """The fence of one presence of a drive."""

    def __init__(self, disk: Disk, root: OwnedFd, state_file: Path, page: Page) -> None:
        self._disk = disk
        self._root = root
        self._state_file = state_file
        self._page = page
        self._lock = threading.Lock()
        self.reason = self._read()

    @property
    def is_up(self) -> bool:
        return self._page.state == FENCED

    def put_up(self, number: int, what: str) -> None:
        """Fence the drive. Durable on return, as far as anything there still can be."""
        self._page.fence()
        with self._lock:
            name = errors.errorcode.get(number, str(number))
            self.reason = self.reason or f"{name} at {what}"
            when = clock.now().isoformat()
            text = json.dumps({"when": when, "errno": name, "what": what}).encode() + b"\n"
            log.error("drive fenced", extra={"drive": self._state_file.stem, "why": self.reason})
            for path, root in ((_FILE, self._root.fd), (str(self._state_file), CWD)):
                try:
                    self._write(path, root, text)
                except OSError as error:
                    log.error("fence file not written", extra={"path": path, "why": str(error)})

    def take_down(self) -> None:
        """Lift the fence, durably; OSError when the drive still refuses, and the fence stays."""
        with self._lock:
            for path, root in ((_FILE, self._root.fd), (str(self._state_file), CWD)):
                try:
                    os.unlink(path, dir_fd=root)
                except FileNotFoundError:
                    continue
                self._sync_folder(path, root)
            self.reason = ""
            self._page.serve(fenced=False)

    def _read(self) -> str:
        for path, root in ((_FILE, self._root.fd), (str(self._state_file), CWD)):
            try:
                fd = OwnedFd(self._disk.open(path, os.O_RDONLY, root=root))
            except FileNotFoundError:
                continue
            try:
                stored = json.loads(os.read(fd.fd, 4096))
                return f"{stored['errno']} at {stored['what']}"
            except (ValueError, KeyError, TypeError, OSError):
                return "an unreadable fence file"
        return ""

    def _write(self, path: str, root: int, text: bytes) -> None:
        fd = OwnedFd(self._disk.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, root=root))
        self._disk.write(fd.fd, 0, [text])
        self._disk.fsync(fd.fd)
        self._sync_folder(path, root)

    def _sync_folder(self, path: str, root: int) -> None:
        folder = OwnedFd(self._disk.open_folder(os.path.dirname(path) or ".", root=root))
        self._disk.fsync(folder.fd)
