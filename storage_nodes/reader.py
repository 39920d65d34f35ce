"""Reading extents: a small one in one go, straight from the page cache when it is there.

Here: the quick way (`read_now`: descriptors at hand, nothing waits), the thorough way behind it
(`window`), records verified by their own checksums, stale locations, concurrent reads of the same
cold bytes. Not here: long bodies (`stream`).

Promise: what is returned was verified. What cannot be read from any combination of drives raises
NotEnoughShards, never wrong bytes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from time import perf_counter

from core import metrics
from core.errors import NotEnoughShards, ShardCorrupt, StaleEpoch, StoreError
from storage_nodes.damage import SLOW_S, Damage
from storage_nodes.located import Located
from storage_nodes.pack_format import RECORD_HEADER, SegmentRecords
from storage_nodes.race import Pace
from storage_nodes.shard_file import HEADER_SIZE
from storage_nodes.shard_name import ShardName, first_copy
from storage_nodes.shard_reads import OpenShard, ShardReads
from storage_nodes.striping import BLOCK
from storage_nodes.window import Rows, Window, striping_of

# Up to this many bytes are copied out of the page cache without a thread: the hop is dearer.
INLINE_BYTES = 1 << 20
# Shards that take longer to open than this (or than most do) are decoded around.
OPEN_HEDGE_S = 0.2

Refresh = Callable[[], Awaitable[Located | None]]
_ReadKey = tuple[object, int, int, int, int]


class Reader:
    """Reads of one process."""

    def __init__(self, shards: ShardReads, rows: Rows, damage: Damage, pace: Pace) -> None:
        self.shards = shards
        self._rows = rows
        self._damage = damage
        self._pace = pace
        # Opening asks the node's daemon, reading does not: each has its own idea of slow.
        self._open_pace = Pace(OPEN_HEDGE_S)
        self._cold: dict[_ReadKey, asyncio.Task[bytes]] = {}

    async def read(
        self, located: Located, start: int, stop: int, refresh: Refresh | None = None
    ) -> bytes:
        """Bytes [start, stop) of an extent; at most about a megabyte.

        `refresh` finds the extent anew when its segment is gone: it was rewritten meanwhile.
        """
        if start >= stop:
            return b""
        found = self.read_now(located, start, stop) if stop - start <= INLINE_BYTES else None
        if found is not None:
            return found
        try:
            return await self._read_cold(located, start, stop)
        except NotEnoughShards:
            fresh = await refresh() if refresh is not None else None
            if fresh is None:
                raise
            return await self._read_cold(fresh, start, stop)

    def read_now(self, located: Located, start: int, stop: int) -> bytes | None:
        """The same without waiting; None where that is not possible or not certain."""
        try:
            return self._found_now(located, start, stop)
        except (StoreError, OSError):
            return None

    def _found_now(self, located: Located, start: int, stop: int) -> bytes | None:
        size = located.record_size
        if size is None:
            return self._raw_now(located, located.offset + start, located.offset + stop)
        first = located.skip + start
        last = located.skip + stop
        low = first - first % BLOCK
        position = located.offset
        body = position + RECORD_HEADER
        if size <= BLOCK:
            # One block: payload and its checksum lie side by side.
            found = self._space_now(located, body, body + size + 4)
            if found is None:
                return None
            payload, table = found[:size], found[size:]
        else:
            high = min(-(-last // BLOCK) * BLOCK, size)
            entries = body + size + low // BLOCK * 4
            blocks = self._space_now(located, body + low, body + high)
            sums = self._space_now(located, entries, entries + -(-(high - low) // BLOCK) * 4)
            if blocks is None or sums is None:
                return None
            payload, table = blocks, sums
        records = SegmentRecords(located.segment_id)
        if not records.verify_blocks(payload, low // BLOCK, table, position):
            return None
        return payload if last - first == len(payload) else payload[first - low : last - low]

    def is_known_bad(self, located: Located, index: int) -> bool:
        """Was this shard found broken or out of reach a moment ago?"""
        return self._damage.is_known(located.segment_id, located.epoch, index)

    async def open_in_time(self, located: Located, indexes: Sequence[int]) -> dict[int, OpenShard]:
        """Coded shards with their checksums, those that can be had before others would be asked."""
        length = striping_of(located).shard_length
        opening = {}
        for index in indexes:
            name = ShardName(located.segment_id, located.epoch, index)
            footed = self.shards.footed(name, located.drives[index], length)
            opening[asyncio.create_task(footed)] = index
        began = perf_counter()
        done, late = await asyncio.wait(opening, timeout=self._open_pace.hedge_s)
        self._open_pace.add(perf_counter() - began)
        if late:
            metrics.hedged_reads.add()
        for task in late:
            self._open_pace.late()
            task.cancel()
            self._damage.pass_over(located.segment_id, located.epoch, opening[task], for_s=SLOW_S)
        return {opening[task]: task.result() for task in done if task.exception() is None}

    async def read_thoroughly(self, located: Located, start: int, stop: int) -> bytes:
        """Ask every drive that can help; follow the segment once if it has moved."""
        window = self._window(located)
        try:
            return await self._through(window, start, stop)
        except StaleEpoch:
            fresh = window.fresh
            assert fresh is not None
        moved = replace(
            located,
            layout=fresh.layout,
            state=fresh.state,
            epoch=fresh.epoch,
            drives=fresh.drives,
            size=fresh.size,
            cell_size=fresh.cell_size,
        )
        return await self._through(self._window(moved, is_fresh=True), start, stop)

    def _raw_now(self, located: Located, first: int, last: int) -> bytes | None:
        """Coded bytes without a record around them: verified by their shards' block checksums."""
        striping = striping_of(located)
        parts = []
        for index, offset, length in striping.pieces(first, last):
            drive_id = located.drives[index]
            shard = self.shards.cached(located.segment_id, located.epoch, index, drive_id)
            if shard is None or shard.footer is None:
                return None
            low, high = striping.blocks(offset, length)
            blocks = shard.reader.read_now(HEADER_SIZE + low, high - low)
            if blocks is None or len(blocks) != high - low:
                return None
            shard.verify(blocks, low)
            parts.append(blocks[offset - low : offset - low + length])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _space_now(self, located: Located, first: int, last: int) -> bytes | None:
        """[first, last) of the segment's address space, not verified."""
        if located.layout == "coded":
            return self._cells_now(located, first, last)
        drives = located.drives
        count = len(drives)
        turn = first_copy(located.segment_id, count)
        for step in range(count):
            index = (turn + step) % count
            shard = self.shards.cached(located.segment_id, located.epoch, index, drives[index])
            if shard is not None:
                found = shard.reader.read_now(HEADER_SIZE + first, last - first)
                if found is not None and len(found) == last - first:
                    return found
        return None

    def _cells_now(self, located: Located, first: int, last: int) -> bytes | None:
        parts = []
        for index, offset, length in striping_of(located).pieces(first, last):
            drive_id = located.drives[index]
            shard = self.shards.cached(located.segment_id, located.epoch, index, drive_id)
            if shard is None:
                return None
            found = shard.reader.read_now(HEADER_SIZE + offset, length)
            if found is None or len(found) != length:
                return None
            parts.append(found)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _read_cold(self, located: Located, start: int, stop: int) -> bytes:
        """Those who want the same bytes at the same time wait for one reading."""
        key = (
            located.segment_id,
            located.epoch,
            located.offset,
            located.skip + start,
            stop - start,
        )
        task = self._cold.get(key)
        if task is None:
            task = asyncio.create_task(self.read_thoroughly(located, start, stop))
            self._cold[key] = task
            task.add_done_callback(lambda done: self._was_read(key, done))
        else:
            metrics.coalesced.add()
        return await asyncio.shield(task)

    def _was_read(self, key: _ReadKey, task: "asyncio.Task[bytes]") -> None:
        self._cold.pop(key, None)
        if not task.cancelled():
            task.exception()  # told to whoever waited; nobody may be left

    def _window(self, located: Located, *, is_fresh: bool = False) -> Window:
        return Window(located, self.shards, self._rows, self._damage, self._pace, is_fresh=is_fresh)

    async def _through(self, window: Window, start: int, stop: int) -> bytes:
        located = window.located
        size = located.record_size
        if size is None:
            return await window.coded(located.offset + start, located.offset + stop)
        first, last = located.skip + start, located.skip + stop
        low, high = first - first % BLOCK, min(-(-last // BLOCK) * BLOCK, size)
        records = SegmentRecords(located.segment_id)
        body = located.offset + RECORD_HEADER
        sums = body + size + low // BLOCK * 4
        sums_stop = sums + -(-(high - low) // BLOCK) * 4
        if located.layout == "coded":
            payload = await window.coded(body + low, body + high)
            table = await window.coded(sums, sums_stop)
            if not records.verify_blocks(payload, low // BLOCK, table, located.offset):
                # Every shard vouches for its blocks: what was coded was wrong already.
                raise ShardCorrupt("A record does not verify.", segment=located.segment_id)
            return payload[first - low : last - low]
        blocks, _ = await window.copied(
            [(body + low, body + high), (sums, sums_stop)],
            lambda found: records.verify_blocks(found[0], low // BLOCK, found[1], located.offset),
        )
        return blocks[first - low : last - low]
