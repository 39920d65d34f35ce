"""A drive of a node on this host: the node passes descriptors, the bytes move here.

Here: what a holder of a descriptor owes (node-protocol.md §3): after each fdatasync look at the
drive's page, the connection and `st_nlink`; report every error; never again sync what failed.
Durable writes go through the process's ring, where it has one; what else blocks, through a few
threads per drive. Either way a slow drive holds up no loop.

Requests to a node have time-outs. What is done here with its descriptors has one only with
`patience_s`, as in background work: a device may hang for ever. What was given up is unknown, its
file nobody's; the drive's own threads keep descriptor and buffers until the device lets go of them,
and until then nothing more is asked of those threads.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from uuid import UUID

from core.errors import (
    DriveFenced,
    DriveFull,
    DriveGone,
    NodeUnreachable,
    ShardMissing,
    StoreError,
)
from core.hands import Hands, Patience
from core.ring import Ring
from storage_nodes.node.disk import OUT_OF_SPACE, Disk, OwnedFd, SyncFailed
from storage_nodes.shard_name import FileName, JournalName, ShardName
from storage_nodes.stores.base import Buffer, Purpose, ShardStat, Space
from storage_nodes.stores.link import Answer, Link
from storage_nodes.stores.links import Links
from storage_nodes.stores.local_reader import LocalShardReader

# Blocking reads, and as many writes, of this process one drive works on at once: cold reads never
# hold up a commit's fdatasync.
_THREADS = 4
_PAGE_OF_NAMES = 1000


class LocalShardStore:
    """One drive through its node's Unix socket. Belongs to one event loop."""

    def __init__(
        self,
        drive: UUID,
        *,
        socket: Path,
        secret: bytes,
        timeout_s: float,
        disk: Disk | None = None,
        ring: Ring | None = None,
        patience_s: float | None = None,
    ) -> None:
        assert ring is None or patience_s is None, "what a ring writes is waited for without end"
        self.drive = drive
        self.disk = disk or Disk()
        self.ring = ring
        self.timeout_s = timeout_s
        self._links = Links(
            drive, socket=socket, secret=secret, timeout_s=timeout_s, queues=patience_s is None
        )
        patience = None
        if patience_s is not None:
            patience = Patience(within_s=patience_s, error=self._links.unanswered)
        self.writing = Hands(_THREADS, "drive write", patience)
        self.reading = Hands(_THREADS, "drive read", patience)

    @property
    def is_silent(self) -> bool:
        return self.writing.is_overdue or self.reading.is_overdue or self._links.is_silent

    async def create(
        self,
        name: FileName,
        *,
        purpose: Purpose,
        size_bytes: int | None = None,
        header: Buffer = b"",
        uncached: bool = False,
    ) -> "LocalShardFile":
        if self.writing.is_overdue:
            raise self._links.unanswered()
        link = await self._links.slow()
        stamp = link.page.stamp()
        handle = secrets.token_hex(16)
        arguments = {"purpose": purpose, "size": size_bytes, "file": handle}
        try:
            _, fd = await link.ask(
                "create", name, arguments, timeout_s=self.timeout_s, payload=bytes(header)
            )
        except (NodeUnreachable, asyncio.CancelledError):
            # It may come into being after all; requests of one connection keep their order.
            link.tell("abandon", name, {"file": handle})
            raise
        published = purpose == "pack"
        owned = _owned(fd)
        if uncached:
            self.disk.bypass_cache(owned.fd)
        return LocalShardFile(
            self, link, name, owned, handle, stamp, end=len(header), published=published
        )

    async def open(self, name: FileName) -> LocalShardReader:
        link = self._links.quick_now or await self._links.quick()
        size, fd = await link.ask("open", name, {}, timeout_s=self.timeout_s)
        return LocalShardReader(self.drive, name, _owned(fd), size, link.page, self.reading)

    async def stat(self, name: FileName) -> ShardStat | None:
        link = await self._links.quick()
        found, _ = await link.ask("stat", name, {}, timeout_s=self.timeout_s)
        return ShardStat(size_bytes=found["size"], trashed=found["trashed"]) if found else None

    async def trash(self, name: FileName) -> bool:
        done, _ = await self._ask("trash", name, {})
        return bool(done)

    async def restore(self, name: FileName) -> bool:
        done, _ = await self._ask("restore", name, {})
        return bool(done)

    async def unlink_trash(self, older_than: datetime) -> int:
        count, _ = await self._ask("unlink_trash", None, {"older_than": older_than.timestamp()})
        return int(count)

    async def names(self, after: ShardName | None = None) -> AsyncIterator[ShardName]:
        while True:
            page, _ = await self._ask("names", after, {"limit": _PAGE_OF_NAMES})
            for text in page:
                after = ShardName.parse(text)
                yield after
            if len(page) < _PAGE_OF_NAMES:
                return

    async def journal_names(self) -> AsyncIterator[JournalName]:
        after = ""
        while True:
            arguments = {"limit": _PAGE_OF_NAMES, "after": after}
            page, _ = await self._ask("journal", None, arguments)
            for after in page:
                yield JournalName.parse(after)
            if len(page) < _PAGE_OF_NAMES:
                return

    async def report_error(self, name: FileName, errno: int) -> None:
        await self._ask("report_error", name, {"errno": errno})

    async def space(self) -> Space:
        found, _ = await self._ask("space", None, {})
        return Space(
            size_bytes=found["size"],
            free_bytes=found["free"],
            trash_bytes=found["trash"],
            device=found["device"],
        )

    async def close(self) -> None:
        self._links.close()
        self.writing.close()
        self.reading.close()

    def in_background(self, work: Callable[..., None], *arguments: object) -> None:
        """Do something to a file that nobody waits for; nothing, once the store is closed."""
        with suppress(RuntimeError):
            self.writing.run(work, *arguments)

    async def _ask(
        self, operation: str, name: FileName | None, arguments: Mapping[str, object]
    ) -> Answer:
        link = await self._links.slow()
        return await link.ask(operation, name, arguments, timeout_s=self.timeout_s)


class LocalShardFile:
    """A descriptor for writing, received from the node."""

    def __init__(
        self,
        store: LocalShardStore,
        link: Link,
        name: FileName,
        fd: OwnedFd,
        handle: str,
        stamp: bytes,
        *,
        end: int,
        published: bool,
    ) -> None:
        self.name = name
        self._store = store
        self._link = link
        self._fd: OwnedFd | None = fd
        self._handle = handle
        self._stamp = stamp
        self._published = published
        self._end = end  # of what was written, or may have been
        # Whether all that was written so far is durable. A pack comes with a durable header.
        self._is_durable = published

    async def write(self, offset: int, buffers: Sequence[Buffer], *, sync: bool = False) -> None:
        await self._aside(offset, buffers, sync)

    async def sync(self) -> None:
        await self._aside(0, (), True)

    async def publish(self, *, replace: bool = False) -> None:
        if self._published:
            await self.close()
            return
        # Our own descriptor has its own record of write-back errors; the node checks its own.
        await self.sync()
        arguments = {"file": self._handle, "replace": replace}
        await self._link.ask("publish", self.name, arguments, timeout_s=self._store.timeout_s)
        self._fd = None

    async def close(self) -> None:
        if not self._published:
            await self.abandon()
            return
        fd, self._fd = self._fd, None
        if fd is not None:
            # Not waited for: a copy is closed because its drive hangs, too.
            self._store.in_background(self._trim, fd, self._end)

    async def abandon(self) -> None:
        if self._published:
            await self.close()
            return
        was_open, self._fd = self._fd is not None, None
        if not was_open:
            return
        if self._link.is_overdue:
            self._link.tell("abandon", self.name, {"file": self._handle})
            return
        # Without its node or drive the file is gone anyway.
        with suppress(NodeUnreachable, DriveGone):
            await self._link.ask(
                "abandon", self.name, {"file": self._handle}, timeout_s=self._store.timeout_s
            )

    async def _aside(self, offset: int, buffers: Sequence[Buffer], sync: bool) -> None:
        """Write, sync or both while the loop does other things."""
        fd = self._writable()
        in_one = self._takes_one_call(offset, buffers, sync)
        try:
            if not (in_one and sync and await self._by_ring(fd, offset, buffers)):
                # The thread only waits for the disk: each call more would wait for the loop.
                await self._store.writing.run(self._put, fd, offset, buffers, sync, in_one)
            if sync:
                self._check_counts(fd)
        except NodeUnreachable:
            self._leave()
            raise
        except OSError as error:
            await self._failed(error)

    async def _by_ring(self, fd: OwnedFd, offset: int, buffers: Sequence[Buffer]) -> bool:
        ring = self._store.ring
        return ring is not None and await self._store.disk.write_durably_by(
            ring, fd, offset, buffers
        )

    def _takes_one_call(self, offset: int, buffers: Sequence[Buffer], sync: bool) -> bool:
        """Note what is written; is it all that has to become durable, so that one call will do?"""
        if not buffers:
            return False
        self._end = max(self._end, offset + sum(map(len, buffers)))
        if not sync:
            self._is_durable = False
        return self._is_durable

    def _put(
        self, fd: OwnedFd, offset: int, buffers: Sequence[Buffer], sync: bool, in_one: bool
    ) -> None:
        if in_one:
            self._store.disk.write_durably(fd.fd, offset, buffers)
            return
        if buffers:
            self._store.disk.write(fd.fd, offset, buffers)
        if sync:
            self._store.disk.fdatasync(fd.fd)

    def _writable(self) -> OwnedFd:
        """The descriptor, if node and drive still serve it."""
        if self._fd is None:
            raise ShardMissing("The file is closed.", shard=self.name)
        self._check_drive()
        return self._fd

    def _check_counts(self, fd: OwnedFd) -> None:
        """What was just synced counts: node, drive and name are still there."""
        self._check_drive()
        if self._published and os.fstat(fd.fd).st_nlink == 0:
            raise ShardMissing("The file was removed while it was written.", shard=self.name)

    def _check_drive(self) -> None:
        if not self._link.is_connected():
            raise NodeUnreachable("The node that handed out the file has gone.", shard=self.name)
        page = self._link.page
        if page.stamp() == self._stamp and page.is_serving():
            return
        if page.is_gone():
            raise DriveGone(drive=self._store.drive)
        raise DriveFenced(drive=self._store.drive)

    def _leave(self) -> None:
        """Drop the file, which a thread may still be writing, without waiting for the node either:
        they hang together.
        """
        self._fd = None
        if not self._published:
            self._link.tell("abandon", self.name, {"file": self._handle})

    def _trim(self, fd: OwnedFd, end: int) -> None:
        """Give back room set aside and not needed, if the drive takes writes. What fails here costs
        room, nothing else.
        """
        with suppress(OSError, StoreError):
            self._check_drive()
            self._store.disk.trim(fd.fd, end)

    async def _failed(self, error: OSError) -> None:
        """Drop the file; fence the drive unless it is merely full."""
        self._fd = None
        if error.errno in OUT_OF_SPACE and not isinstance(error, SyncFailed):
            raise DriveFull(drive=self._store.drive) from error
        why = error.strerror or str(error)
        # Unheard, the copy is not counted either; the next writer will meet the same drive.
        with suppress(NodeUnreachable, DriveFenced, DriveGone):
            await self._store.report_error(self.name, error.errno or 0)
        raise DriveFenced(f"The drive failed: {why}.", drive=self._store.drive) from error


def _owned(fd: int | None) -> OwnedFd:
    if fd is None:
        raise NodeUnreachable("The node answered without a descriptor.")
    return OwnedFd(fd)
