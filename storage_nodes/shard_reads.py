"""Shards held open for reading, with the checksums of coded ones.

Here: a bounded set of open readers, shared by all requests of a process; footers; verified ranges
of coded shards. Not here: which shard to read (`window`, `reader`), decoding.

No reader stays in the set for long: an open descriptor keeps the room of a deleted file taken, and
hides that the segment has moved. A reader dropped from the set stays usable for whoever still holds
it: its descriptor is closed with the last of them.
"""

import asyncio
import resource
from collections import OrderedDict
from uuid import UUID

from core import clock
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

# One descriptor of a thousand packs, or nine of a hundred coded segments.
LIMIT = 1024
# Of all files this process may open, the part that readers may take.
_PART_OF_FILES = 2
# A reader is closed when it was not asked for since the last but one `expire`, or is this old.
MAX_AGE_S = 300.0

Key = tuple[UUID, int, int]


class OpenShard:
    """One shard held open. `footer` is there once a coded one has been asked for it."""

    __slots__ = ("drive_id", "footer", "name", "opened_at", "reader", "salt", "was_used")

    def __init__(self, name: ShardName, drive_id: int, reader: ShardReader) -> None:
        self.name = name
        self.drive_id = drive_id
        self.reader = reader
        self.salt = salt(name)
        self.footer: ShardFooter | None = None
        self.opened_at = clock.monotonic()
        self.was_used = True

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
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._limit = min(limit, files // _PART_OF_FILES)
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
        shard.was_used = True
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

    def expire(self) -> None:
        """Close what has not been used since the last call, or is old. Called twice a minute."""
        now = clock.monotonic()
        for key, shard in list(self._open.items()):
            if not shard.was_used or now - shard.opened_at > MAX_AGE_S:
                del self._open[key]
                self._close_soon(shard)
            shard.was_used = False

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
