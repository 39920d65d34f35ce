"""Objects in segments on drives in memory, to be damaged by hand and read back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from uuid import UUID

from storage_nodes.located import Located, Stored
from storage_nodes.shard_name import ShardName
from storage_nodes.stream import WINDOW
from tests.support.segments import GatedStore, SegmentsBench, located

VERSION = UUID(int=9)
SMALL = Random(1).randbytes(5000)
MEDIUM = Random(2).randbytes(700_000)
LARGE = Random(3).randbytes(3 * 786_432 + 100_001)


class ReadBench(SegmentsBench):
    """Segments over drives in memory, what was written to them, and what readers noticed."""

    async def packed(self, content: bytes) -> Located:
        stored = await self.segments.append("ec-6-3", "strict", VERSION, content)
        stored.settle()
        return located(self.rows, stored)

    async def coded(self, content: bytes, policy: str = "ec-6-3") -> list[Located]:
        writer = await self.segments.write(policy, "fast")
        for start in range(0, len(content), 300_000):
            await writer.feed(content[start : start + 300_000])
        return [self._committed(stored) for stored in await writer.finish()]

    def _committed(self, stored: Stored) -> Located:
        self.rows.rows[stored.segment_id].state = "stored"
        stored.settle()
        return located(self.rows, stored)

    def store_of(self, place: Located, index: int) -> GatedStore:
        return self.fleet.stores[place.drives[index]]

    def shard(self, place: Located, index: int) -> bytearray:
        name = ShardName(place.segment_id, place.epoch, index)
        return self.store_of(place, index).shards[name]

    def remove(self, place: Located, *indexes: int) -> None:
        for index in indexes:
            name = ShardName(place.segment_id, place.epoch, index)
            del self.store_of(place, index).shards[name]

    async def streamed(self, places: list[Located], start: int, stop: int) -> bytes:
        stream = self.segments.stream(places, start, stop)
        content = bytearray()
        while piece := await stream.next():
            assert len(piece) <= WINDOW
            content += piece
        await stream.close()
        return bytes(content)

    async def noticed(self) -> list[tuple[int, str]]:
        await self.segments.damage.close()
        return sorted((index, state) for _, _, index, state in self.rows.noticed_shards)


@asynccontextmanager
async def reading() -> AsyncIterator[ReadBench]:
    made = ReadBench()
    yield made
    await made.close()
