"""One segment of a large body as plain copies: policies that are never coded, or too few drives.

The whole segment is one record, so that it is read, verified and coded later like any other pack
segment. Its header is written last: without it the copy holds nothing.

Promise: as `coded_sink`, with the policy's quorum of copies.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from uuid import UUID

from core.errors import SegmentClosed
from storage_nodes.fanout import Fanout
from storage_nodes.located import Stored
from storage_nodes.pack_format import GROUP_ALIGNMENT, RECORD_HEADER, SegmentRecords, aligned
from storage_nodes.segment_rows import SegmentRows
from storage_nodes.shard_file import HEADER_SIZE
from storage_nodes.stores.base import ShardFile

EPOCH = 1
_NO_VERSION = bytes(16)  # a large body's record is not of one version alone


class StagedSink:
    """Takes units of any size."""

    def __init__(
        self,
        segment_id: UUID,
        drives: Sequence[int],
        fanout: Fanout,
        rows: SegmentRows,
        threads: Executor,
        *,
        unit_size: int,
        capacity: int,
    ) -> None:
        self.segment_id = segment_id
        self.capacity = capacity
        self.unit_size = unit_size
        self.size = 0
        self._drives = drives
        self._fanout = fanout
        self._rows = rows
        self._threads = threads
        self._records = SegmentRecords(segment_id)
        self._sums = self._records.sums(0)

    async def write(self, unit: memoryview, size: int) -> None:
        """`size` bytes at the head of `unit`, which is the sink's until this returns."""
        piece = unit[:size]
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self._sums.update, piece)
        offset = HEADER_SIZE + RECORD_HEADER + self.size

        async def step(index: int, file: ShardFile) -> None:
            await file.write(offset, [piece])

        await self._fanout.run(step)
        self.size += size

    async def finish(self) -> Stored:
        """Make the copies durable, then say so in their header, then in the row."""
        table = self._sums.finish()
        end = RECORD_HEADER + self.size + len(table)
        length = aligned(end, GROUP_ALIGNMENT)
        header = self._records.header(_NO_VERSION, self.size, 0)

        async def step(index: int, file: ShardFile) -> None:
            tail = table.ljust(len(table) + length - end, b"\0")
            await file.write(HEADER_SIZE + RECORD_HEADER + self.size, [tail], sync=True)
            await file.write(HEADER_SIZE, [header], sync=True)
            await file.close()

        await self._fanout.run(step)
        live = set(self._fanout.live)
        drives = [drive if at in live else 0 for at, drive in enumerate(self._drives)]
        confirmed = [length if at in live else 0 for at in range(len(drives))]
        if not await self._rows.finish_own(
            self.segment_id, size=length, drives=drives, confirmed=confirmed
        ):
            raise SegmentClosed(segment=self.segment_id)
        return Stored(self.segment_id, 0, self.size, self.size, EPOCH, "writing", len(live))

    async def abandon(self) -> None:
        await self._fanout.abandon()
