"""One open pack on three drives in memory that can be held up and broken by hand."""

from __future__ import annotations

import asyncio
from uuid import UUID

from storage_nodes.located import Stored
from storage_nodes.pack import Pack
from storage_nodes.shard_file import HEADER_SIZE
from storage_nodes.shard_name import ShardName
from tests.support.segments import HandTimer, MemoryFleet

LAG_S = 1.0
VERSION = UUID(int=9)
SEGMENT = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


class PackBench:
    """A pack on drives 1, 2 and 3, each with a gate."""

    def __init__(self) -> None:
        self.fleet = MemoryFleet(3)
        self.timer = HandTimer()
        self.closings = 0
        self.bad: list[int] = []

    @classmethod
    async def opened(cls, capacity: int = 1 << 20) -> PackBench:
        made = cls()
        await made._open(capacity)
        return made

    async def _open(self, capacity: int) -> None:
        files = []
        for index, drive in enumerate((1, 2, 3)):
            name = ShardName(SEGMENT, 1, index)
            store = self.fleet.store(drive)
            files.append(
                (drive, await store.create(name, purpose="pack", header=bytes(HEADER_SIZE)))
            )

        def closing(_: Pack) -> None:
            self.closings += 1

        self.pack = Pack(
            segment_id=SEGMENT,
            epoch=1,
            policy_name="ec-6-3",
            files=files,
            quorum=2,
            capacity=capacity,
            lag_s=LAG_S,
            on_closing=closing,
            on_bad_drive=lambda drive, why: self.bad.append(drive),
            later=self.timer,
        )

    def append(self, content: bytes, quorum: int = 2) -> asyncio.Future[object]:
        return self.pack.append(VERSION.bytes, [content], len(content), quorum)

    def hold(self, *drives: int) -> None:
        self.fleet.hold(*drives)

    def release(self, *drives: int) -> None:
        self.fleet.release(*drives)

    def copy(self, index: int) -> bytes:
        """The address space as one drive holds it."""
        return bytes(
            self.fleet.stores[index + 1].shards[ShardName(SEGMENT, 1, index)][HEADER_SIZE:]
        )

    def writes(self, drive: int) -> int:
        return self.fleet.stores[drive].writes


async def stored(answer: asyncio.Future[object]) -> Stored:
    async with asyncio.timeout(30):
        result = await answer
    assert isinstance(result, Stored)
    return result
