"""A drive whose device hangs for as long as a test says: no thread returns from it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from storage_nodes.node.disk import Buffers, Disk
from storage_nodes.stores.local import LocalShardStore


class HangingDisk(Disk):
    """The real thing; while it hangs, whoever writes or flushes waits."""

    def __init__(self) -> None:
        super().__init__()
        self._goes_on = threading.Event()
        self._goes_on.set()
        # Threads that were made to wait, ever.
        self.met = 0

    @contextmanager
    def hung(self) -> Iterator[None]:
        self._goes_on.clear()
        try:
            yield
        finally:
            self._goes_on.set()

    def write(self, fd: int, offset: int, buffers: Buffers) -> int:
        self._meet()
        return super().write(fd, offset, buffers)

    def fdatasync(self, fd: int) -> None:
        self._meet()
        super().fdatasync(fd)

    def _meet(self) -> None:
        if not self._goes_on.is_set():
            self.met += 1
            self._goes_on.wait()


async def hold_reads(store: LocalShardStore, until: threading.Event) -> None:
    """All threads that read from the drive wait."""
    for _ in range(8):
        store.reading.run(until.wait).add_done_callback(lambda done: done.exception())
