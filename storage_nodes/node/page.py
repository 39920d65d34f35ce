"""The shared page of a drive: 16 bytes by which holders of descriptors learn of a fence at once.

The node writes it; clients map it read-only. A writer keeps the bytes it saw when it received its
file (`stamp`) and counts nothing once they differ. Layout: docs/formats/node-protocol.md §3.
"""

import mmap
import os
import struct
from typing import Final

SERVING: Final = 0
FENCED: Final = 1
GONE: Final = 2

_LAYOUT = struct.Struct("<QQ")
SIZE: Final = _LAYOUT.size
# The state's lowest byte: all a reader needs to look at.
_STATE_AT: Final = 8


class Page:
    """The node's side. One per drive identity, for as long as the daemon runs."""

    def __init__(self) -> None:
        self._fd = os.memfd_create("objstore drive", os.MFD_CLOEXEC)
        os.ftruncate(self._fd, mmap.PAGESIZE)
        self._map = mmap.mmap(self._fd, mmap.PAGESIZE)
        self.presence = 0
        self.state = GONE

    def serve(self, *, fenced: bool) -> None:
        """A new presence of the drive begins."""
        self.presence += 1
        self._set(FENCED if fenced else SERVING)

    def fence(self) -> None:
        self._set(FENCED)

    def leave(self) -> None:
        self._set(GONE)

    def share(self) -> int:
        """A new read-only descriptor of the page."""
        return os.open(f"/proc/self/fd/{self._fd}", os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        self._map.close()
        os.close(self._fd)

    def _set(self, state: int) -> None:
        self.state = state
        self._map[:SIZE] = _LAYOUT.pack(self.presence, state)


class PageView:
    """A client's side; unmapped when the last file that looks at it is forgotten."""

    def __init__(self, fd: int) -> None:
        try:
            self._map = mmap.mmap(fd, mmap.PAGESIZE, mmap.MAP_SHARED, mmap.PROT_READ)
        finally:
            os.close(fd)

    def stamp(self) -> bytes:
        """What to compare with later."""
        return self._map[:SIZE]

    def is_serving(self) -> bool:
        return self._map[_STATE_AT] == SERVING

    def is_gone(self) -> bool:
        return self._map[_STATE_AT] == GONE
