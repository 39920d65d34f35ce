"""Shards written to and read from a ShardStore whole, and a drive that is attended."""

from collections.abc import Awaitable, Callable, Sequence

from storage_nodes.shard_name import FileName
from storage_nodes.stores.base import Buffer, Purpose, ShardStore
from storage_nodes.stores.memory import MemoryShardFile, MemoryShardReader, MemoryShardStore

BLOCK = bytes(range(256)) * 16


async def publish(store: ShardStore, name: FileName, *pieces: bytes) -> None:
    file = await store.create(name, purpose="shard")
    await file.write(0, pieces)
    await file.publish()


async def content(store: ShardStore, name: FileName) -> bytes:
    reader = await store.open(name)
    try:
        return await reader.read(0, 1 << 20)
    finally:
        await reader.close()


# Told of a step (`create`, `open`, `read`, or `sync` of a write) and of the file's name.
Attend = Callable[[str, FileName], Awaitable[None]]


class AttendedStore(MemoryShardStore):
    """A drive in memory with the files of another. Somebody attends to some steps before they are
    taken: counts them, does something else first, or raises in their place.
    """

    def __init__(self, instead_of: MemoryShardStore, attend: Attend) -> None:
        super().__init__(instead_of.drive)
        self.shards, self.trashed = instead_of.shards, instead_of.trashed
        self._attend = attend

    async def create(
        self,
        name: FileName,
        *,
        purpose: Purpose,
        size_bytes: int | None = None,
        header: Buffer = b"",
        uncached: bool = False,
    ) -> MemoryShardFile:
        await self._attend("create", name)
        made = await super().create(
            name, purpose=purpose, size_bytes=size_bytes, header=header, uncached=uncached
        )
        return _AttendedFile(made, self._attend)

    async def open(self, name: FileName) -> MemoryShardReader:
        await self._attend("open", name)
        await super().open(name)
        return _AttendedReader(self, name, self._attend)


class _AttendedFile(MemoryShardFile):
    def __init__(self, made: MemoryShardFile, attend: Attend) -> None:
        self.__dict__.update(made.__dict__)
        self._attend = attend

    async def write(self, offset: int, buffers: Sequence[Buffer], *, sync: bool = False) -> None:
        await super().write(offset, buffers, sync=sync)
        if sync:
            await self._attend("sync", self.name)


class _AttendedReader(MemoryShardReader):
    def __init__(self, store: AttendedStore, name: FileName, attend: Attend) -> None:
        super().__init__(store, name, store.shards[name])
        self._attend = attend

    async def read(self, offset: int, length: int) -> bytes:
        await self._attend("read", self.name)
        return await super().read(offset, length)
