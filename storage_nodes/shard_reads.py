"""Shards held open for reading, with the checksums of coded ones.

Here: a bounded set of open readers, shared by all requests of a process; footers; verified ranges
of coded shards. Not here: which shard to read (`window`, `reader`), decoding.

A reader dropped from the set stays usable for whoever still holds it: its descriptor is closed with
the last of them.
"""

import asyncio
from collections import OrderedDict
from uuid import UUID

from core.errors import ShardCorrupt, StoreError
from storage_nodes.fleet import Fleet
from storage_nodes.shard_file import (
    HEADER_SIZE,
    ShardFooter,
    footer_size,
    parse_footer,
    salt,
    verify_blocks,
)
from storage_nodes.shard_name import ShardName
from storage_nodes.stores.base import ShardReader
from storage_nodes.striping import BLOCK

# Two descriptors of a thousand segments, or nine of a hundred: well below the usual limit of files.
LIMIT = 1024

Key = tuple[UUID, int, int]


class OpenShard:
    """One shard held open. `footer` is there once a coded one has been asked for it."""

    __slots__ = ("drive_id", "footer", "name", "reader", "salt")

    def __init__(self, name: ShardName, drive_id: int, reader: ShardReader) -> None:
        self.name = name
        self.drive_id = drive_id
        self.reader = reader
        self.salt = salt(name)
        self.footer: ShardFooter | None = None

    def verify(self, payload: bytes | bytearray | memoryview, start: int) -> None:
        """Raise ShardCorrupt unless the blocks from `start` on are what was written."""
        assert self.footer is not None
        bad = verify_blocks(payload, start // BLOCK, self.footer.checksums, self.salt)
        if bad is not None:
            raise ShardCorrupt("A block does not verify.", shard=self.name, block=bad)


class ShardReads:
    """The open shards of one process."""

    def __init__(self, fleet: Fleet, limit: int = LIMIT) -> None:
        self._fleet = fleet
        self._limit = limit
        self._open: OrderedDict[Key, OpenShard] = OrderedDict()
        self._opening: dict[Key, asyncio.Task[OpenShard]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def cached(self, segment: UUID, epoch: int, index: int, drive_id: int) -> OpenShard | None:
        """The shard, if it is open already."""
        key = (segment, epoch, index)
        shard = self._open.get(key)
        if shard is None or shard.drive_id != drive_id:
            return None
        self._open.move_to_end(key)
        return shard

    async def opened(self, name: ShardName, drive_id: int) -> OpenShard:
        """The shard, open. Several who ask at once wait for one opening."""
        shard = self.cached(name.segment, name.epoch, name.index, drive_id)
        if shard is not None:
            return shard
        key = (name.segment, name.epoch, name.index)
        task = self._opening.get(key)
        if task is None:
            task = self._opening[key] = asyncio.create_task(self._really_open(key, name, drive_id))
            task.add_done_callback(lambda done: self._opened(key, done))
        return await asyncio.shield(task)

    async def footed(self, name: ShardName, drive_id: int, payload_length: int) -> OpenShard:
        """A coded shard, open, its footer verified and as long as it must be."""
        shard = await self.opened(name, drive_id)
        if shard.footer is None:
            size = footer_size(payload_length)
            file_size = HEADER_SIZE + payload_length + size
            tail = await shard.reader.read(file_size - size, size)
            if len(tail) != size or shard.reader.size != file_size:
                raise ShardCorrupt("The shard does not have its length.", shard=name)
            shard.footer = parse_footer(tail, name, file_size)
        return shard

    async def blocks(
        self, name: ShardName, drive_id: int, payload_length: int, start: int, stop: int
    ) -> bytes:
        """[start, stop) of a coded shard's payload, verified. Both are block borders or its end."""
        shard = await self.footed(name, drive_id, payload_length)
        payload = await shard.reader.read(HEADER_SIZE + start, stop - start)
        if len(payload) != stop - start:
            raise ShardCorrupt("The shard ends too early.", shard=name)
        shard.verify(payload, start)
        return payload

    def forget(self, name: ShardName) -> None:
        """Open it anew next time: what is held may be of a file that was taken away."""
        shard = self._open.pop((name.segment, name.epoch, name.index), None)
        if shard is not None:
            self._close_soon(shard)

    async def close(self) -> None:
        while self._open:
            self._close_soon(self._open.popitem()[1])
        for task in list(self._opening.values()):
            task.cancel()
        if self._closing:
            await asyncio.wait(set(self._closing))

    async def _really_open(self, key: Key, name: ShardName, drive_id: int) -> OpenShard:
        reader = await self._fleet.store(drive_id).open(name)
        shard = OpenShard(name, drive_id, reader)
        before = self._open.pop(key, None)
        if before is not None:
            self._close_soon(before)
        self._open[key] = shard
        while len(self._open) > self._limit:
            self._close_soon(self._open.popitem(last=False)[1])
        return shard

    def _opened(self, key: Key, task: "asyncio.Task[OpenShard]") -> None:
        self._opening.pop(key, None)
        if not task.cancelled():
            task.exception()  # told to whoever waited; nobody may be left

    def _close_soon(self, shard: OpenShard) -> None:
        task = asyncio.create_task(_close(shard.reader))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _close(reader: ShardReader) -> None:
    try:
        await reader.close()
    except (StoreError, OSError):
        return  # the node takes it back when the connection ends
