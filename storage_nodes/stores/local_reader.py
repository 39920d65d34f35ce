"""A read-only descriptor from a node of this host: the page cache at once, else by thread.

Here: reading. Not here: receiving the descriptor (`local`), verifying what was read (`shard_file`).
"""

import os
from uuid import UUID

from core.errors import DriveGone, ShardCorrupt, ShardMissing
from core.hands import Hands
from storage_nodes.node.disk import OwnedFd
from storage_nodes.node.page import PageView
from storage_nodes.shard_name import FileName

# Copying more than this out of the page cache is worth a thread.
_INLINE_BYTES = 256 << 10


class LocalShardReader:
    """A read-only descriptor, received from the node."""

    def __init__(
        self,
        drive: UUID,
        name: FileName,
        fd: OwnedFd,
        size: int,
        page: PageView,
        reading: Hands,
    ) -> None:
        self.name = name
        self.size = size
        self._drive = drive
        self._fd: OwnedFd | None = fd
        self._page = page
        self._reading = reading

    async def read(self, offset: int, length: int) -> bytes:
        if length <= _INLINE_BYTES:
            found = self.read_now(offset, length)
            if found is not None:
                return found
        return await self._reading.run(self._read, offset, length)

    def read_now(self, offset: int, length: int) -> bytes | None:
        place = bytearray(length)
        return bytes(place) if self.read_into_now(offset, memoryview(place)) else None

    def read_into_now(self, offset: int, place: memoryview) -> bool:
        fd = self._opened()
        try:
            count = os.preadv(fd.fd, [place], offset, os.RWF_NOWAIT)
        except OSError:
            # Not in the page cache, or not supported here; a real error shows in the full read.
            return False
        # Fewer bytes: the end of the file, or of what is cached. The full read knows.
        return count == len(place)

    async def close(self) -> None:
        self._fd = None

    def _read(self, offset: int, length: int) -> bytes:
        fd = self._opened()
        pieces = []
        while length:
            try:
                piece = os.pread(fd.fd, length, offset)
            except OSError as error:
                raise ShardCorrupt(
                    f"The drive cannot read the shard: {error.strerror}.", shard=self.name
                ) from error
            if not piece:
                break
            pieces.append(piece)
            offset += len(piece)
            length -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _opened(self) -> OwnedFd:
        if self._fd is None:
            raise ShardMissing("The reader is closed.", shard=self.name)
        if self._page.is_gone():
            raise DriveGone(drive=self._drive)
        return self._fd
