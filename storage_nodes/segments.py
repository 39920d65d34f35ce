"""Segments as the floors above use them: append small bodies, write large ones, read both.

Here: one process's packs, writers, readers and leases put together; starting and stopping. Not
here: how any of them works.

Promise: see `packs`, `segment_writer`, `reader`, `stream`. After `close` nothing is open any more,
and what was open has been sealed or is left to its lease.
"""

import asyncio
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal
from uuid import UUID

from core.config import Config
from core.database import Lanes
from core.errors import InvalidArgument
from core.malloc import keep_freed_buffers
from core.names import new_id
from storage_nodes.damage import Damage, State
from storage_nodes.fleet import Avoided, Fleet
from storage_nodes.inventory import Inventory
from storage_nodes.located import Located, Stored
from storage_nodes.own_segments import OwnSegments
from storage_nodes.pack import Later
from storage_nodes.packs import Packs, Payload
from storage_nodes.policy import Ack
from storage_nodes.race import Pace
from storage_nodes.reader import Reader
from storage_nodes.reader import Refresh as RefreshOne
from storage_nodes.segment_rows import SegmentRows
from storage_nodes.segment_writer import SegmentWriter
from storage_nodes.shard_reads import ShardReads
from storage_nodes.stream import Refresh, Stream

log = logging.getLogger(__name__)

_TICK_S = 1.0
_EXPIRE_TICKS = 30
# Coding and gathering release the GIL; more threads than cores only wait.
_THREADS = min(4, os.cpu_count() or 1)


class Segments:
    """The segments one process writes and reads. Belongs to one event loop."""

    def __init__(
        self,
        rows: SegmentRows,
        fleet: Fleet,
        config: Config,
        *,
        later: Later | None = None,
    ) -> None:
        self.fleet = fleet
        self.damage = Damage(rows)
        self.shards = ShardReads(fleet)
        self.reader = Reader(self.shards, rows, self.damage, Pace())
        avoided = Avoided()
        self._threads = ThreadPoolExecutor(_THREADS, "segments")
        self._lease_s = config.packing.lease_s
        self._inline_from = config.coding.inline_from
        self._packs = Packs(
            rows,
            fleet,
            config.packing,
            segment_size=config.coding.segment_size,
            avoided=avoided,
            later=later,
        )
        self._own = OwnSegments(rows, fleet, config.coding, self._threads, avoided)
        self._ticking: list[asyncio.Task[None]] = []
        self._closers: list[Inventory | Lanes] = []

    @classmethod
    async def open(cls, config: Config, lanes: Lanes) -> "Segments":
        """With the cluster's real drives, and leases on a connection of their own."""
        keep_freed_buffers()
        inventory = await Inventory.open(lanes, config)
        leases = Lanes(config.database, misc=1, name="objstore leases")
        rows = SegmentRows(
            lanes, leases, owner=f"{os.getpid()}-{new_id()}", lease_s=config.packing.lease_s
        )
        segments = cls(rows, inventory, config)
        segments._closers = [inventory, leases]
        segments.start()
        return segments

    def start(self) -> None:
        """Renew leases and seal what is due, from now on."""
        self._ticking = [
            asyncio.create_task(self._keep_leases(), name="segment leases"),
            asyncio.create_task(self._keep_sealing(), name="segment sealing"),
        ]

    async def append(
        self, policy_name: str, ack: str, version_id: UUID, payload: Payload
    ) -> Stored:
        """A small body, durable on as many drives as `ack` asks for when this returns."""
        return await self._packs.append(policy_name, _ack(ack), version_id, payload)

    def refused(self, segment_id: UUID) -> None:
        """A commit of appended bytes was refused: append no more to this segment."""
        self._packs.refused(segment_id)

    async def write(self, policy_name: str, ack: str, size: int | None = None) -> SegmentWriter:
        """A writer for one large body, in segments of its own.

        They are coded as the bytes arrive, unless the body is known to be below `inline_from`.
        """
        is_coded = size is None or size >= self._inline_from
        return SegmentWriter(self._own, policy_name, _ack(ack), is_coded=is_coded)

    async def read(
        self, located: Located, start: int, stop: int, refresh: RefreshOne | None = None
    ) -> bytes:
        """Bytes [start, stop) of one extent, at most about a megabyte, verified."""
        return await self.reader.read(located, start, stop, refresh)

    def stream(
        self, locateds: Sequence[Located], start: int, stop: int, refresh: Refresh | None = None
    ) -> Stream:
        """Bytes [start, stop) of extents that follow one another, window by window."""
        return Stream(self.reader, self._threads, locateds, start, stop, refresh)

    def noticed(self, segment_id: UUID, epoch: int, index: int, why: State) -> None:
        """A shard was found missing or corrupt: remember it and owe a repair."""
        self.damage.noticed(segment_id, epoch, index, why)

    async def close(self) -> None:
        """Seal what is open, tell what was noticed, give everything back."""
        for task in self._ticking[1:]:
            task.cancel()
        await self._packs.close()
        for task in self._ticking:
            task.cancel()
        if self._ticking:
            await asyncio.wait(self._ticking)
        await self.damage.close()
        await self.shards.close()
        for each in self._closers:
            await each.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(self._lease_s / 3)
            await self._packs.renew()
            await self._own.renew()

    async def _keep_sealing(self) -> None:
        ticks = 0
        while True:
            await asyncio.sleep(_TICK_S)
            self._packs.seal_due()
            ticks += 1
            if ticks % _EXPIRE_TICKS == 0:
                self.shards.expire()


def _ack(ack: str) -> Ack:
    known: dict[str, Literal["fast", "strict"]] = {"fast": "fast", "strict": "strict"}
    if ack not in known:
        raise InvalidArgument("A bucket acknowledges `fast` or `strict`.", ack=ack)
    return known[ack]
