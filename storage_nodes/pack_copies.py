"""One copy of an open pack segment: groups written in order, each with one durable write.

Here: the queue before one drive. Not here: what a group is made of and who is answered when
(`pack`), the drive itself (`stores`).

Promise: `durable` is the length of a prefix that is on stable storage. A copy that failed or was
closed never gets another byte.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from core.errors import StoreError
from core.failpoints import declare
from storage_nodes.shard_file import HEADER_SIZE
from storage_nodes.stores.base import Buffer, ShardFile

MID_RECORD = declare(
    "pack.mid-record", point="C15", doc="half of a group's bytes written, nothing synced"
)


@dataclass(slots=True, eq=False)
class Group:
    """Records made durable together. `waiting` are the appends not answered yet."""

    start: int
    stop: int
    buffers: list[Buffer]
    waiting: list["Waiting"]
    sent_at: float
    durable: int = 0  # copies that hold it
    quorum_at: float | None = None  # when enough of them did


@dataclass(slots=True, eq=False)
class Waiting:
    """One append: answered when `quorum` copies hold its group."""

    answer: "asyncio.Future[object]"
    quorum: int
    position: int
    length: int


@dataclass(slots=True, eq=False)
class PackCopy:
    """The copy on one drive."""

    index: int
    drive_id: int
    file: ShardFile
    on_durable: Callable[["PackCopy", list[Group]], None]
    on_failed: Callable[["PackCopy", str], None]
    durable: int = 0
    is_closed: bool = False
    queue: deque[Group] = field(default_factory=deque)
    queued_bytes: int = 0
    _wake: "asyncio.Future[None] | None" = None
    _task: "asyncio.Task[None] | None" = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"pack copy {self.index}")

    def send(self, group: Group) -> None:
        """Write this group after those sent before."""
        self.queue.append(group)
        self.queued_bytes += group.stop - group.start
        self._notify()

    def close(self) -> None:
        """For good: what is queued is forgotten, what is under way no longer counts."""
        self.is_closed = True
        self.queue.clear()
        self.queued_bytes = 0
        self._notify()

    async def closed(self, patience_s: float) -> None:
        """The file is closed, and the drive has nothing more to do for it; or it hangs."""
        assert self.is_closed
        if self._task is not None:
            await asyncio.wait([self._task], timeout=patience_s)

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while not self.is_closed:
                if not self.queue:
                    self._wake = loop.create_future()
                    await self._wake
                    continue
                await self._write(list(self.queue))
        except (StoreError, OSError) as why:
            self._fail(str(why))
        finally:
            self._fail("stopped")  # by what nobody foresaw: whoever waits must hear of it
            await self._close_file()

    def _fail(self, why: str) -> None:
        if not self.is_closed:
            self.is_closed = True
            self.on_failed(self, why)

    async def _write(self, groups: list[Group]) -> None:
        """All that gathered while the last write was under way, in one trip."""
        buffers = (
            groups[0].buffers
            if len(groups) == 1
            else [buffer for group in groups for buffer in group.buffers]
        )
        offset = HEADER_SIZE + groups[0].start
        if MID_RECORD.arming is not None:
            half = b"".join(buffers)
            await self.file.write(offset, [half[: len(half) // 2]])
            MID_RECORD.hit()
        await self.file.write(offset, buffers, sync=True)
        if self.is_closed:
            return
        for _ in groups:
            done = self.queue.popleft()
            self.queued_bytes -= done.stop - done.start
        self.durable = groups[-1].stop
        self.on_durable(self, groups)

    async def _close_file(self) -> None:
        try:
            await self.file.close()
        except (StoreError, OSError):
            # The bytes that count are durable already; the node reclaims the descriptor itself.
            return
