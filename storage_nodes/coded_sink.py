"""One segment of a large body, coded stripe by stripe as it comes.

Here: cells, parity, checksums and footers on k+m drives, publication. Not here: gathering bytes
into units and the order of segments (`segment_writer`).

Promise: when `finish` returns, at least the policy's write quorum of shards is published and
durable, and the row knows which are missing. Memory: the parity of one unit.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from uuid import UUID

from core.errors import SegmentClosed
from core.failpoints import declare
from storage_nodes.coding import coder
from storage_nodes.fanout import Fanout
from storage_nodes.located import Stored
from storage_nodes.policy import StoragePolicy
from storage_nodes.segment_rows import SegmentRows
from storage_nodes.shard_file import HEADER_SIZE, BlockSums
from storage_nodes.shard_name import ShardName
from storage_nodes.stores.base import Buffer, ShardFile
from storage_nodes.striping import tail_cell

EPOCH = 1

MID_STRIPES = declare(
    "coded.mid-stripes", point="C1", doc="some stripes of a large body written, none published"
)
PUBLISHED = declare(
    "coded.published", point="C4", doc="all shards published, the row not told which are missing"
)


class CodedSink:
    """Takes whole units; the last one may be shorter."""

    def __init__(
        self,
        segment_id: UUID,
        policy: StoragePolicy,
        drives: Sequence[int],
        fanout: Fanout,
        rows: SegmentRows,
        threads: Executor,
        *,
        cell_size: int,
        unit_size: int,
        capacity: int,
    ) -> None:
        self.segment_id = segment_id
        self.capacity = capacity
        self.unit_size = unit_size
        self.size = 0
        self._policy = policy
        self._drives = drives
        self._fanout = fanout
        self._rows = rows
        self._threads = threads
        self._cell_size = cell_size
        self._coder = coder(policy.needed, policy.parity)
        self._sums = [BlockSums(ShardName(segment_id, EPOCH, at)) for at in range(policy.width)]
        stripes = unit_size // (policy.needed * cell_size)
        self._parity = memoryview(bytearray(stripes * policy.parity * cell_size))
        self._offset = HEADER_SIZE

    async def write(self, unit: memoryview, size: int) -> None:
        """`size` bytes at the head of `unit`, which is the sink's until this returns."""
        loop = asyncio.get_running_loop()
        columns = await loop.run_in_executor(self._threads, self._encode, unit, size)
        offset = self._offset

        async def step(index: int, file: ShardFile) -> None:
            await file.write(offset, columns[index])

        await self._fanout.run(step)
        await MID_STRIPES.reach()
        self._offset += sum(len(cell) for cell in columns[0])
        self.size += size

    async def finish(self) -> Stored:
        """Publish every shard, and tell the row which are missing."""

        async def step(index: int, file: ShardFile) -> None:
            sums = self._sums[index]
            footer = sums.footer(self.size).pack(ShardName(self.segment_id, EPOCH, index))
            await file.write(self._offset, [footer])
            await file.publish()

        await self._fanout.run(step)
        await PUBLISHED.reach()
        live = set(self._fanout.live)
        drives = [drive if at in live else 0 for at, drive in enumerate(self._drives)]
        if not await self._rows.finish_own(
            self.segment_id, size=self.size, drives=drives, confirmed=None
        ):
            raise SegmentClosed(segment=self.segment_id)
        return Stored(self.segment_id, 0, None, self.size, EPOCH, "writing", len(live))

    async def abandon(self) -> None:
        await self._fanout.abandon()

    def _encode(self, unit: memoryview, size: int) -> list[list[Buffer]]:
        """The cells of every shard for this unit. Runs in a thread and mostly without the GIL."""
        needed, parity = self._policy.needed, self._policy.parity
        columns: list[list[Buffer]] = [[] for _ in range(needed + parity)]
        stripe = needed * self._cell_size
        for at, start in enumerate(range(0, size, stripe)):
            cell = self._cell_size
            if size - start < stripe:
                cell = tail_cell(size - start, needed)
                end = start + needed * cell
                unit[size:end] = bytes(end - size)
            cells: list[Buffer] = [
                unit[start + n * cell : start + (n + 1) * cell] for n in range(needed)
            ]
            base = at * parity * self._cell_size
            out = [self._parity[base + n * cell : base + (n + 1) * cell] for n in range(parity)]
            self._coder.encode(cells, out)
            for index, piece in enumerate([*cells, *out]):
                self._sums[index].update(piece)
                columns[index].append(piece)
        return columns
