"""A drive in memory, for tests: the same promises, except that nothing survives the process.

Its drive can be fenced, filled and taken away by hand, so that callers meet every error.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from uuid import UUID, uuid4

from core import clock
from core.errors import DriveFenced, DriveFull, DriveGone, ShardExists, ShardMissing
from storage_nodes.shard_name import FileName, JournalName, ShardName
from storage_nodes.stores.base import Buffer, Purpose, ShardStat, Space


class MemoryShardStore:
    """One drive; `fenced`, `gone`, `is_silent` and `size_bytes` are there for tests to turn."""

    def __init__(self, drive: UUID | None = None, *, size_bytes: int = 1 << 40) -> None:
        self.drive = drive or uuid4()
        self.size_bytes = size_bytes
        self.fenced = False
        self.gone = False
        self.is_silent = False
        self.shards: dict[FileName, bytearray] = {}
        self.trashed: dict[FileName, tuple[datetime, bytearray]] = {}

    async def create(
        self,
        name: FileName,
        *,
        purpose: Purpose,
        size_bytes: int | None = None,
        header: Buffer = b"",
        uncached: bool = False,
    ) -> "MemoryShardFile":
        self.check_writable()
        if max(size_bytes or 0, len(header)) > self._free_bytes():
            raise DriveFull(drive=self.drive)
        held = bytearray(header)
        if purpose == "pack":
            if name in self.shards:
                raise ShardExists(shard=name)
            self.shards[name] = held
        return MemoryShardFile(self, name, held, published=purpose == "pack")

    async def open(self, name: FileName) -> "MemoryShardReader":
        self.check_present()
        if name not in self.shards:
            raise ShardMissing(shard=name)
        return MemoryShardReader(self, name, self.shards[name])

    async def stat(self, name: FileName) -> ShardStat | None:
        self.check_present()
        if name in self.shards:
            return ShardStat(size_bytes=len(self.shards[name]), trashed=False)
        if name in self.trashed:
            return ShardStat(size_bytes=len(self.trashed[name][1]), trashed=True)
        return None

    async def trash(self, name: FileName) -> bool:
        self.check_writable()
        held = self.shards.pop(name, None)
        if held is None:
            return False
        self.trashed[name] = (clock.now(), held)
        return True

    async def restore(self, name: FileName) -> bool:
        self.check_writable()
        if name not in self.trashed:
            return name in self.shards
        _, held = self.trashed.pop(name)
        self.shards.setdefault(name, held)
        return True

    async def unlink_trash(self, older_than: datetime) -> int:
        self.check_writable()
        old = [name for name, (at, _) in self.trashed.items() if at < older_than]
        for name in old:
            del self.trashed[name]
        return len(old)

    async def names(self, after: ShardName | None = None) -> AsyncIterator[ShardName]:
        self.check_present()
        shards = [name for name in self.shards if isinstance(name, ShardName)]
        for name in sorted(shards, key=lambda each: each.path):
            if after is None or name.path > after.path:
                yield name

    async def journal_names(self) -> AsyncIterator[JournalName]:
        self.check_present()
        for name in sorted(name for name in self.shards if isinstance(name, JournalName)):
            yield name

    async def report_error(self, name: FileName, errno: int) -> None:
        self.fenced = True

    async def space(self) -> Space:
        self.check_present()
        trash = sum(len(held) for _, held in self.trashed.values())
        return Space(
            size_bytes=self.size_bytes, free_bytes=self._free_bytes(), trash_bytes=trash, device=0
        )

    async def close(self) -> None:
        return None

    def check_present(self) -> None:
        if self.gone:
            raise DriveGone(drive=self.drive)

    def check_writable(self) -> None:
        self.check_present()
        if self.fenced:
            raise DriveFenced(drive=self.drive)

    def _free_bytes(self) -> int:
        used = sum(map(len, self.shards.values()))
        used += sum(len(held) for _, held in self.trashed.values())
        return max(0, self.size_bytes - used)


class MemoryShardFile:
    """One shard being written into memory."""

    def __init__(
        self, store: MemoryShardStore, name: FileName, held: bytearray, *, published: bool
    ) -> None:
        self.name = name
        self._store = store
        self._held = held
        self._published = published
        self._open = True

    async def write(self, offset: int, buffers: Sequence[Buffer], *, sync: bool = False) -> None:
        self._check()
        at = offset
        for buffer in buffers:
            if len(self._held) < at:
                self._held.extend(bytes(at - len(self._held)))
            self._held[at : at + len(buffer)] = buffer
            at += len(buffer)

    async def sync(self) -> None:
        self._check()
        if self._published and not self._is_linked():
            raise ShardMissing(shard=self.name)

    async def publish(self, *, replace: bool = False) -> None:
        self._check()
        self._open = False
        if self._published:
            return
        held = self._store.shards.setdefault(self.name, self._held)
        if replace and held is not self._held:
            self._store.trashed[self.name] = (clock.now(), held)
            self._store.shards[self.name] = self._held

    async def close(self) -> None:
        self._open = False

    async def abandon(self) -> None:
        self._open = False

    def _is_linked(self) -> bool:
        trashed = self._store.trashed.get(self.name)
        return self._store.shards.get(self.name) is self._held or (
            trashed is not None and trashed[1] is self._held
        )

    def _check(self) -> None:
        if not self._open:
            raise ShardMissing("The file is closed.", shard=self.name)
        self._store.check_writable()


class MemoryShardReader:
    """One shard being read from memory."""

    def __init__(self, store: MemoryShardStore, name: FileName, held: bytearray) -> None:
        self.name = name
        self.size = len(held)
        self._store = store
        self._held = held

    async def read(self, offset: int, length: int) -> bytes:
        return self.read_now(offset, length)

    def read_now(self, offset: int, length: int) -> bytes:
        self._store.check_present()
        return bytes(self._held[offset : offset + length])

    def read_into_now(self, offset: int, place: memoryview) -> bool:
        found = self.read_now(offset, len(place))
        place[: len(found)] = found
        return len(found) == len(place)

    async def close(self) -> None:
        return None
