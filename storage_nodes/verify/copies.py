"""Every record of a replicated segment that somebody names, in each copy that has to hold it.

Records nobody names are garbage or not committed yet: no read can meet them and no repair restores
them, so nothing is said about them; nor about the gaps between records.

Promise: a copy nothing is said about is this copy of this segment, and each of those records was
read from it and verifies, every block. Memory: one piece of each copy.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from core.errors import BadFormat, StoreError
from storage_nodes.copies import Record
from storage_nodes.pack_format import RECORD_HEADER, SegmentRecords, record_length, table_length
from storage_nodes.shard_file import HEADER_SIZE, ShardHeader
from storage_nodes.shard_name import ShardName
from storage_nodes.stores.base import ShardReader
from storage_nodes.striping import BLOCK
from storage_nodes.verify.findings import Bad, Finding, Store, Throttle, check_header, judged

# A multiple of the block size, and what one trip to a drive carries.
PIECE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicated:
    """A replicated layout, its named records in the order of their positions, and how much of the
    address space each copy has to hold.
    """

    cluster: UUID
    segment: UUID
    epoch: int
    drives: Sequence[int]
    records: Sequence[Record]
    due: Sequence[int]

    def header(self, index: int) -> ShardHeader:
        return ShardHeader(
            cluster=self.cluster,
            name=ShardName(self.segment, self.epoch, index),
            layout="replicated",
            needed=1,
            parity=len(self.drives) - 1,
            cell_size=0,
        )


async def check(
    replicated: Replicated,
    store: Store,
    throttle: Throttle,
    indexes: Collection[int] | None = None,
) -> list[Finding]:
    """What is wrong with the copies; with `indexes`, with those of them."""
    chosen = range(len(replicated.drives)) if indexes is None else sorted(indexes)
    found = await asyncio.gather(*(_copy(replicated, index, store, throttle) for index in chosen))
    return [
        Finding(
            kind=bad.kind,
            segment=replicated.segment,
            epoch=replicated.epoch,
            index=index,
            drive=replicated.drives[index] or None,
            detail=bad.detail,
        )
        for index, bad in zip(chosen, found, strict=True)
        if bad is not None
    ]


async def _copy(replicated: Replicated, index: int, store: Store, throttle: Throttle) -> Bad | None:
    """The first thing that is wrong with a copy."""
    drive = replicated.drives[index]
    if drive == 0:
        return Bad("missing", "It is on no drive yet.")
    try:
        reader = await store(drive).open(ShardName(replicated.segment, replicated.epoch, index))
        throttle.tally.shards += 1
        try:
            await check_header(reader, replicated.header(index))
            await throttle.took(HEADER_SIZE)
            copy = _Copy(reader, SegmentRecords(replicated.segment), throttle)
            for position, length in replicated.records:
                if position + record_length(length) <= replicated.due[index]:
                    await copy.record(position, length)
        finally:
            await reader.close()
    except (Bad, StoreError, OSError) as why:
        return judged(why)
    return None


class _Copy:
    """Reads one copy from its beginning to its end."""

    def __init__(self, reader: ShardReader, records: SegmentRecords, throttle: Throttle) -> None:
        self._reader = reader
        self._records = records
        self._throttle = throttle
        self._start = 0
        self._held = b""

    async def record(self, position: int, length: int) -> None:
        """Raise `Bad` unless this record is whole."""
        body = position + RECORD_HEADER
        header = await self._take(position, RECORD_HEADER)
        if not self._is_header(header, length, position):
            raise Bad("corrupt", f"The header of the record at {position} does not verify.")
        table = await self._take(body + length, table_length(length))
        for start in range(0, length, PIECE):
            piece = await self._take(body + start, min(PIECE, length - start))
            first = start // BLOCK
            if not self._records.verify_blocks(piece, first, table[4 * first :], position):
                raise Bad("corrupt", f"The record at {position} does not verify.")
            self._throttle.tally.blocks += -(-len(piece) // BLOCK)
        self._throttle.tally.records += 1

    def _is_header(self, header: bytes, length: int, position: int) -> bool:
        try:
            return self._records.verify_header(header, length, position)
        except BadFormat:
            return False

    async def _take(self, position: int, length: int) -> bytes:
        """Bytes of the address space; small pieces that follow one another come in one trip."""
        at = position - self._start
        if not 0 <= at <= at + length <= len(self._held):
            want = max(length, PIECE)
            self._held = await self._reader.read(HEADER_SIZE + position, want)
            self._start, at = position, 0
            await self._throttle.took(len(self._held))
        if len(self._held) - at < length:
            ends = self._start + len(self._held)
            raise Bad("truncated", f"It ends at {ends} of its segment, within a record.")
        return self._held[at : at + length]
