"""What every shard store promises: one drive, seen from a client.

Here: the protocol, its values and its errors' meaning. Not here: how bytes get to the drive
(`memory`, `http`, `local`), what a shard file contains (`shard_file`), which drive to use
(`placement`). One conformance suite runs over all implementations.

Errors, the same from every implementation:
    ShardMissing     no such shard on this drive (it may lie in the trash)
    ShardExists      `create` of a published pack whose name is taken
    DriveFenced      the drive refuses writes since an error; reads still work
    DriveFull        the reserve would be touched; nothing was created
    DriveGone        the drive's identity is not where it was; nothing was done
    NodeUnreachable  node or drive did not answer in time; for `publish`, `trash`, `restore` and
                     writes this means *unknown*, and asking again is safe: all are idempotent
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, TypeAlias
from uuid import UUID

from storage_nodes.shard_name import FileName, JournalName, ShardName

Buffer: TypeAlias = bytes | bytearray | memoryview
Purpose: TypeAlias = Literal["pack", "shard"]


def as_purpose(text: str) -> Purpose:
    """A purpose that came over the wire; ValueError for an unknown one."""
    if text == "pack":
        return "pack"
    if text == "shard":
        return "shard"
    raise ValueError(f"unknown purpose {text!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardStat:
    """What the node knows of one shard file without reading it."""

    size_bytes: int
    trashed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Room on a drive. `free_bytes` leaves the reserve out and is never negative."""

    size_bytes: int
    free_bytes: int
    trash_bytes: int
    device: int


class ShardFile(Protocol):
    """One shard being written by one writer.

    A write that raised may have taken effect in part; the writer discards the file (`abandon`,
    or for a pack: never appends to it again). After the node restarted or the drive left, every
    call raises: a file is never carried over.
    """

    name: FileName

    async def write(self, offset: int, buffers: Sequence[Buffer], *, sync: bool = False) -> None:
        """Put the buffers one after another at `offset`; with `sync`, what `sync` promises too.

        One call, one trip to the drive. Rewriting the same bytes at the same place is harmless.
        """

    async def sync(self) -> None:
        """All bytes written so far are on stable storage when this returns.

        Raises when the device reported an error since the file was opened, when the published
        name was removed meanwhile, or when the drive is fenced or gone: then nothing may count.
        An error from the device has been reported to the node, which fenced the drive.
        """

    async def publish(self, *, replace: bool = False) -> None:
        """Give a 'shard' its name: file durable, then name, then directory. Immutable afterwards.

        A name that exists already is a success (the same writer asked twice: rival attempts
        differ in their epoch). With `replace` this file takes it over, and the one that had it is
        in the trash; whoever looks and whatever crashes, the name leads to one of the two.
        No-op for a 'pack', whose name was published by `create`. The file is closed.
        """

    async def close(self) -> None:
        """Stop writing. A published pack keeps its bytes; an unpublished shard is abandoned."""

    async def abandon(self) -> None:
        """Forget an unpublished file; nothing is left of it. A published pack is just closed."""


class ShardReader(Protocol):
    """One shard being read. Bytes already published never change; a pack may grow."""

    name: FileName
    size: int  # when it was opened

    async def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes at `offset`; fewer only where the file ends."""

    def read_now(self, offset: int, length: int) -> bytes | None:
        """The same without waiting, or None where that would need the disk or the network."""

    def read_into_now(self, offset: int, place: memoryview) -> bool:
        """Fill `place` from `offset` on without waiting; False where `read_now` gives None."""

    async def close(self) -> None:
        """Give the descriptor back. Harmless when repeated."""


class ShardStore(Protocol):
    """The shards of one drive, and the journal files it keeps: those are made, read and trashed
    like a 'shard'.
    """

    drive: UUID

    @property
    def is_silent(self) -> bool:
        """Whether an answer was waited for in vain and has still not come: the drive, or what leads
        to it, hangs, and what may go elsewhere should.
        """

    async def create(
        self,
        name: FileName,
        *,
        purpose: Purpose,
        size_bytes: int | None = None,
        header: Buffer = b"",
        uncached: bool = False,
    ) -> ShardFile:
        """A new file with `header` at offset 0 and room set aside for `size_bytes` in all.

        'shard': has no name until `publish`; vanishes if its writer does.
        'pack': header durable, name published and directory durable before this returns. Until
        it is closed, zeros may be read where nothing was written of the room set aside.
        `uncached`: nobody will read what is written soon; it need not stay in memory.
        """

    async def open(self, name: FileName) -> ShardReader:
        """Open for reading; ShardMissing when it is not there or lies in the trash."""

    async def stat(self, name: FileName) -> ShardStat | None:
        """None when the drive holds it neither under its name nor in the trash."""

    async def trash(self, name: FileName) -> bool:
        """Take the name away, durably; the bytes stay restorable for a while.

        False when there was nothing under that name. Works on a full drive.
        """

    async def restore(self, name: FileName) -> bool:
        """Bring a trashed shard back under its name, durably; False when the trash has none."""

    async def unlink_trash(self, older_than: datetime) -> int:
        """Delete for good what was trashed before `older_than`; how many files that were."""

    def names(self, after: ShardName | None = None) -> AsyncIterator[ShardName]:
        """Every published shard, in an order that lets a caller go on behind the last one seen."""

    def journal_names(self) -> AsyncIterator[JournalName]:
        """Every published file of the journal, in the order of their numbers."""

    async def report_error(self, name: FileName, errno: int) -> None:
        """A write or fsync through a passed descriptor failed: fence the drive, durably."""

    async def space(self) -> Space:
        """Room on the drive now."""

    async def close(self) -> None:
        """Give connections back. Files and readers still open stop working."""
