"""Beginning the segments of large bodies: drives, row, files; and keeping their leases.

Here: coded when k+m drives can be had, else staged as copies; replacing a drive that fails at once.
Not here: what is written into them (`coded_sink`, `staged_sink`).

Promise: the row is committed before the first byte. A lease is renewed until the segment's commit
is settled or its writer gave it up; then it runs out, and what nobody committed is collected.
"""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Protocol
from uuid import UUID

import psycopg

from core import clock
from core.config import Coding
from core.errors import (
    NotEnoughDrives,
    QuorumNotMet,
    StoreError,
)
from core.names import new_id
from storage_nodes.coded_sink import EPOCH, CodedSink
from storage_nodes.fanout import Fanout
from storage_nodes.fleet import Avoided, Fleet
from storage_nodes.located import Stored
from storage_nodes.placement import place, replace
from storage_nodes.policy import Ack, StoragePolicy, policy
from storage_nodes.segment_rows import SegmentRows
from storage_nodes.shard_file import ShardHeader
from storage_nodes.shard_name import ShardName
from storage_nodes.staged_sink import StagedSink
from storage_nodes.stores.base import Purpose, ShardFile

log = logging.getLogger(__name__)

# What of a body is coded and written at once: a stream holds two of these and their parity.
UNIT_BYTES = 2 << 20
# A shard this far behind the quorum is left to a repair.
GRACE_S = 5.0
# A commit that was not settled after so long has been forgotten: its lease may run out.
FORGOTTEN_S = 600.0


class Sink(Protocol):
    """One segment being written."""

    segment_id: UUID
    capacity: int
    unit_size: int
    size: int

    async def write(self, unit: memoryview, size: int) -> None: ...

    async def finish(self) -> Stored: ...

    async def abandon(self) -> None: ...


class OwnSegments:
    """Segments of this process's large bodies."""

    def __init__(
        self,
        rows: SegmentRows,
        fleet: Fleet,
        settings: Coding,
        threads: Executor,
        avoided: Avoided,
        *,
        grace_s: float = GRACE_S,
    ) -> None:
        self._rows = rows
        self._fleet = fleet
        self._settings = settings
        self._threads = threads
        self._avoided = avoided
        self._grace_s = grace_s
        self._leased: dict[UUID, float | None] = {}  # until when to renew; None: for now

    async def begin(self, policy_name: str, ack: Ack, *, is_coded: bool = True) -> Sink:
        """A new segment: coded if it should be and there are drives for that, else copies."""
        code = policy(policy_name)
        segment_id = new_id()
        if is_coded and code.layout == "coded":
            drives = self._place(code, segment_id)
            if len(drives) == code.width:
                return await self._begin_coded(segment_id, code, drives)
        staged = code.staged()
        drives = self._place(staged, segment_id)
        quorum = staged.acknowledged_copies(ack)
        if len(drives) < quorum:
            raise NotEnoughDrives(needed=quorum, healthy=len(drives))
        return await self._begin_staged(segment_id, policy_name, staged, drives, quorum)

    def finished(self, segments: Sequence[Stored]) -> None:
        """A whole body waits for its commit: renew until that is settled, within reason."""
        until = clock.monotonic() + FORGOTTEN_S
        for stored in segments:
            self._leased[stored.segment_id] = until
            stored.on_settled = partial(self.forget, stored.segment_id)

    def forget(self, segment_id: UUID) -> None:
        self._leased.pop(segment_id, None)

    async def abandon(self, segment_ids: Sequence[UUID]) -> None:
        """Nobody will commit these; the row says so, or at last its lease running out."""
        for segment_id in segment_ids:
            self.forget(segment_id)
        try:
            if segment_ids:
                await self._rows.abandon(segment_ids)
        except (StoreError, psycopg.Error) as why:
            log.warning("abandoned segments are left to their leases: %s", why)

    async def renew(self) -> None:
        """Renew every lease. Called every third of a lease."""
        now = clock.monotonic()
        for segment_id, until in list(self._leased.items()):
            if until is not None and until < now:
                self.forget(segment_id)
                continue
            try:
                await self._rows.renew(segment_id)
            except (StoreError, psycopg.Error) as why:
                log.warning("the lease of segment %s was not renewed: %s", segment_id, why)

    def _place(self, code: StoragePolicy, segment_id: UUID) -> list[int]:
        drives = self._avoided.filter(self._fleet.healthy(), code.width)
        return place(drives, code, segment_id)

    async def _begin_coded(
        self, segment_id: UUID, code: StoragePolicy, drives: list[int]
    ) -> CodedSink:
        cell_size = self._settings.cell_size
        stripe = code.needed * cell_size
        unit_size = max(1, UNIT_BYTES // stripe) * stripe
        await self._rows.open_own(segment_id, code.name, drives, cell_size)
        self._leased[segment_id] = None
        fanout = await self._create_all(
            segment_id, code, drives, cell_size=cell_size, quorum=code.write_quorum
        )
        return CodedSink(
            segment_id,
            code,
            drives,
            fanout,
            self._rows,
            self._threads,
            cell_size=cell_size,
            unit_size=unit_size,
            capacity=max(1, self._settings.segment_size // unit_size) * unit_size,
        )

    async def _begin_staged(
        self,
        segment_id: UUID,
        policy_name: str,
        staged: StoragePolicy,
        drives: list[int],
        quorum: int,
    ) -> StagedSink:
        drives = drives + [0] * (staged.copies - len(drives))
        await self._rows.open_own(segment_id, policy_name, drives, None)
        self._leased[segment_id] = None
        fanout = await self._create_all(segment_id, staged, drives, cell_size=0, quorum=quorum)
        return StagedSink(
            segment_id,
            drives,
            fanout,
            self._rows,
            self._threads,
            unit_size=UNIT_BYTES,
            # The record's header and table belong to the segment as well.
            capacity=max(1, self._settings.segment_size // UNIT_BYTES - 1) * UNIT_BYTES,
        )

    async def _create_all(
        self,
        segment_id: UUID,
        code: StoragePolicy,
        drives: list[int],
        *,
        cell_size: int,
        quorum: int,
    ) -> Fanout:
        """A file on every drive. A drive that fails at once is replaced, in `drives` as well."""
        files: list[ShardFile | None] = [None] * len(drives)
        planned = list(drives)
        missing = [index for index, drive in enumerate(drives) if drive]
        for _ in range(2):
            created = await asyncio.gather(
                *(self._create(segment_id, code, at, drives[at], cell_size) for at in missing)
            )
            for index, file in zip(missing, created, strict=True):
                files[index] = file
            missing = [index for index in missing if files[index] is None]
            if not missing:
                break
            keep = [drive for at, drive in enumerate(drives) if at not in missing and drive]
            failed = [drives[at] for at in missing]
            others = [drive for drive in self._fleet.healthy() if drive.id not in failed]
            fresh = replace(others, code, segment_id, keep=keep, count=len(missing))
            for index in missing:
                drives[index] = 0
            missing = missing[: len(fresh)]
            for index, drive in zip(missing, fresh, strict=True):
                drives[index] = drive
        fanout = Fanout(
            files,
            quorum=quorum,
            grace_s=self._grace_s,
            on_bad=lambda index, why: self._bad_drive(drives[index], why),
        )
        if len(fanout.live) < quorum:
            await fanout.abandon()
            await self.abandon([segment_id])
            raise QuorumNotMet(durable=len(fanout.live), needed=quorum)
        if drives != planned:
            # What becomes of the files later is decided by the drives the row names.
            await self._rows.finish_own(segment_id, size=0, drives=drives, confirmed=None)
        return fanout

    async def _create(
        self, segment_id: UUID, code: StoragePolicy, index: int, drive_id: int, cell_size: int
    ) -> ShardFile | None:
        name = ShardName(segment_id, EPOCH, index)
        purpose: Purpose = "shard" if cell_size else "pack"
        header = ShardHeader(
            cluster=self._fleet.cluster,
            name=name,
            layout="coded" if cell_size else "replicated",
            needed=code.needed,
            parity=code.parity,
            cell_size=cell_size,
        )
        try:
            store = self._fleet.store(drive_id)
            return await store.create(name, purpose=purpose, header=header.pack())
        except (StoreError, OSError) as why:
            self._bad_drive(drive_id, str(why))
            return None

    def _bad_drive(self, drive_id: int, why: str) -> None:
        log.warning("drive %s takes no large bodies for now: %s", drive_id, why)
        self._avoided.add(drive_id)
