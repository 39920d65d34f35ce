"""The open pack segments of one process: one per storage policy, opened on first use.

Here: opening (row first, then files, then bytes), appending again when a pack closed under an
append, renewing leases, sealing. Not here: groups and copies (`pack`), rows (`segment_rows`).

Promise: a segment's row is committed before its first byte. Sealing flips the state in the database
before anything else ends, after what was appended has been committed or has failed (within
`SETTLE_S`); whoever commits later is refused there and appends again.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO
from uuid import UUID

import psycopg

from core import clock, metrics
from core.config import Packing
from core.errors import (
    NotEnoughDrives,
    QuorumNotMet,
    SegmentClosed,
    StoreError,
)
from core.failpoints import declare
from core.names import new_id
from storage_nodes.fleet import Avoided, Fleet
from storage_nodes.located import Stored
from storage_nodes.pack import Later, Pack
from storage_nodes.placement import place
from storage_nodes.policy import Ack, StoragePolicy, policy
from storage_nodes.segment_rows import SegmentRows
from storage_nodes.shard_file import ShardHeader
from storage_nodes.shard_name import ShardName, first_copy
from storage_nodes.stores.base import Buffer, ShardFile

log = logging.getLogger(__name__)

# Bodies above this are streamed into segments of their own, whatever they are coded like.
LARGEST_PACKED = 16 << 20
# How long sealing waits for the commits of what was appended.
SETTLE_S = 5.0
# Packs an append tries before its client hears about it.
ATTEMPTS = 4
_SEAL_ATTEMPTS = 5
_RETRY_S = 1.0
_READ_BYTES = 1 << 20

MID_SEAL = declare("pack.mid-seal", point="C15", doc="the segment is sealed, its copies still open")
OPENED = declare("pack.opened", point="C15", doc="the row of a pack is there, its files not yet")

Payload = bytes | bytearray | memoryview | list[Buffer] | tuple[Buffer, ...] | BinaryIO


@dataclass(slots=True)
class _Lane:
    """What is open for one policy: the pack in use, and the next when that is nearly full."""

    staged: StoragePolicy
    pack: Pack | None = None
    spare: Pack | None = None
    opening: "asyncio.Task[Pack] | None" = None


class Packs:
    """Appends small bodies. One of these per process."""

    def __init__(
        self,
        rows: SegmentRows,
        fleet: Fleet,
        settings: Packing,
        *,
        segment_size: int,
        avoided: Avoided,
        later: Later | None = None,
    ) -> None:
        self._rows = rows
        self._fleet = fleet
        self._settings = settings
        self._segment_size = segment_size
        self._spare_from = segment_size // 4 * 3
        self._later = later
        self._lanes: dict[str, _Lane] = {}
        self._sealing: set[asyncio.Task[None]] = set()
        self._live: set[Pack] = set()  # all whose lease is ours
        self._avoided = avoided
        self._spool = asyncio.Semaphore(4)
        self._is_closed = False

    async def append(
        self, policy_name: str, ack: Ack, version_id: UUID, payload: Payload
    ) -> Stored:
        """Durable on as many drives as `ack` asks for when this returns."""
        if isinstance(payload, bytes | bytearray | memoryview):
            pieces: Sequence[Buffer] = (payload,)
            return await self._append(policy_name, ack, version_id.bytes, pieces, len(payload))
        if isinstance(payload, list | tuple):
            length = sum(len(piece) for piece in payload)
            return await self._append(policy_name, ack, version_id.bytes, payload, length)
        async with self._spool:
            spooled = await asyncio.to_thread(_pieces, payload)
            length = sum(len(piece) for piece in spooled)
            return await self._append(policy_name, ack, version_id.bytes, spooled, length)

    async def _append(
        self, policy_name: str, ack: Ack, version_id: bytes, pieces: Sequence[Buffer], length: int
    ) -> Stored:
        lane = self._lanes.get(policy_name)
        if lane is None:
            lane = self._lanes[policy_name] = _Lane(policy(policy_name).staged())
        quorum = lane.staged.acknowledged_copies(ack)
        for attempt in range(1, ATTEMPTS + 1):
            pack = lane.pack
            if pack is None or not pack.takes(length):
                pack = await self._fresh(lane, policy_name, quorum, length)
            elif pack.used > self._spare_from and not lane.spare and not lane.opening:
                self._open_soon(lane, policy_name, quorum)
            answer = pack.append(version_id, pieces, length, quorum)
            try:
                stored = await answer
            except asyncio.CancelledError:
                if answer.done() and not answer.cancelled() and answer.exception() is None:
                    _settle(answer.result())
                raise
            except (SegmentClosed, QuorumNotMet):
                pack.close("copies")  # too few for this append: the next may have more
                if attempt == ATTEMPTS:
                    raise
                continue
            assert isinstance(stored, Stored)
            return stored
        raise AssertionError("unreachable")

    async def renew(self) -> None:
        """Renew every lease and record what each copy holds. Called every third of a lease."""
        for pack in list(self._live):
            try:
                is_ours = await self._rows.renew(pack.segment_id, pack.size, pack.confirmed)
            except (StoreError, psycopg.Error) as why:
                # The next renewal is due long before the lease ends; after that the seal job acts.
                log.warning("the lease of segment %s was not renewed: %s", pack.segment_id, why)
                continue
            if not is_ours and pack in self._live and not pack.is_closing:
                log.warning("pack segment %s is no longer ours", pack.segment_id)
                self._live.discard(pack)
                pack.close("lost")

    def refused(self, segment_id: UUID) -> None:
        """A commit was refused because of this segment: somebody else has sealed it."""
        for pack in self._live:
            if pack.segment_id == segment_id and not pack.is_closing:
                log.warning("pack segment %s takes no commit any more", segment_id)
                self._live.discard(pack)
                pack.close("lost")
                return

    def seal_due(self) -> None:
        """Begin to seal what is old enough. Called about once a second."""
        now = clock.monotonic()
        for lane in self._lanes.values():
            pack = lane.pack
            if pack is None:
                continue
            age = now - pack.opened_at
            enough = pack.used >= self._settings.seal_min_bytes
            if age >= self._settings.open_max_s or (enough and age >= self._settings.seal_after_s):
                pack.close("due")

    async def close(self) -> None:
        """Seal everything that is open: what a clean stop owes."""
        self._is_closed = True
        for lane in self._lanes.values():
            if lane.opening is not None:
                await asyncio.wait([lane.opening])
            for pack in (lane.spare, lane.pack):
                if pack is not None:
                    pack.close("stop")
        while self._sealing:
            await asyncio.wait(set(self._sealing))

    async def _fresh(self, lane: _Lane, policy_name: str, quorum: int, length: int) -> Pack:
        """A pack with room for `length`; all who need one wait for the same."""
        if length > self._segment_size - (64 << 10):
            raise ValueError(f"{length} bytes do not fit into a pack segment")
        while True:
            pack = lane.pack
            if pack is not None:
                if pack.takes(length):
                    return pack
                pack.close("full")  # the spare, if there is one, takes its place
                continue
            if lane.opening is None:
                self._open_soon(lane, policy_name, quorum)
            assert lane.opening is not None
            if lane.opening.done():
                # Its outcome is put in place by a callback, which needs a turn of the loop.
                await asyncio.sleep(0)
                continue
            await asyncio.shield(lane.opening)

    def _open_soon(self, lane: _Lane, policy_name: str, quorum: int) -> None:
        if self._is_closed:
            raise SegmentClosed("The store is stopping.")
        lane.opening = asyncio.create_task(self._open(lane, policy_name, quorum))
        lane.opening.add_done_callback(lambda task: self._opened(lane, task))

    def _opened(self, lane: _Lane, task: "asyncio.Task[Pack]") -> None:
        """Runs before those who waited: they find the new pack in its place."""
        lane.opening = None
        if task.cancelled() or task.exception() is not None:
            return
        if lane.pack is None:
            lane.pack = task.result()
        else:
            lane.spare = task.result()

    async def _open(self, lane: _Lane, policy_name: str, quorum: int) -> Pack:
        staged = lane.staged
        for attempt in range(1, ATTEMPTS + 1):
            drives = self._avoided.filter(self._fleet.healthy(), staged.copies)
            segment_id = new_id()
            chosen = place(drives, staged, segment_id)
            if len(chosen) < quorum:
                raise NotEnoughDrives(needed=quorum, healthy=len(chosen))
            wanted = len(chosen)
            chosen += [0] * (staged.copies - wanted)
            await self._rows.open_pack(segment_id, policy_name, chosen)
            await OPENED.reach()
            files = await asyncio.gather(
                *(self._create(segment_id, staged, at, drive) for at, drive in enumerate(chosen))
            )
            created = sum(file is not None for file in files)
            if created == wanted or (attempt == ATTEMPTS and created >= quorum):
                placed = list(zip(chosen, files, strict=True))
                return self._begin(segment_id, policy_name, staged, placed)
            await self._forget(segment_id, files)
        raise QuorumNotMet(segment=segment_id)

    def _begin(
        self,
        segment_id: UUID,
        policy_name: str,
        staged: StoragePolicy,
        files: list[tuple[int, ShardFile | None]],
    ) -> Pack:
        pack = Pack(
            segment_id=segment_id,
            epoch=1,
            policy_name=policy_name,
            files=files,
            quorum=staged.copies_fast,
            capacity=self._segment_size,
            lag_s=self._settings.lag_s,
            on_closing=self._seal_soon,
            on_bad_drive=self._bad_drive,
            later=self._later,
        )
        self._live.add(pack)
        return pack

    async def _create(
        self, segment_id: UUID, staged: StoragePolicy, index: int, drive_id: int
    ) -> ShardFile | None:
        if drive_id == 0:
            return None
        name = ShardName(segment_id, 1, index)
        header = ShardHeader(
            cluster=self._fleet.cluster,
            name=name,
            layout="replicated",
            needed=1,
            parity=staged.copies - 1,
            cell_size=0,
        )
        try:
            return await self._fleet.store(drive_id).create(
                name,
                purpose="pack",
                size_bytes=self._segment_size + len(header.pack()),
                header=header.pack(),
                uncached=index != first_copy(segment_id, staged.copies),
            )
        except (StoreError, OSError) as why:
            self._bad_drive(drive_id, str(why))
            return None

    async def _forget(self, segment_id: UUID, files: Sequence[ShardFile | None]) -> None:
        """A pack too few drives could take: nothing was appended to it."""
        for file in files:
            if file is not None:
                await file.abandon()
        await self._rows.seal(segment_id, 1, 0, [0] * len(files))

    def _bad_drive(self, drive_id: int, why: str) -> None:
        log.warning("drive %s takes no appends for now: %s", drive_id, why)
        self._avoided.add(drive_id)

    def _seal_soon(self, pack: Pack) -> None:
        for lane in self._lanes.values():
            if lane.pack is pack:
                lane.pack, lane.spare = lane.spare, None
            elif lane.spare is pack:
                lane.spare = None
        task = asyncio.create_task(self._seal(pack), name=f"seal {pack.segment_id}")
        self._sealing.add(task)
        task.add_done_callback(self._sealing.discard)

    async def _seal(self, pack: Pack) -> None:
        try:
            await pack.quiet(SETTLE_S)
            if pack in self._live:
                await self._flip(pack)
            await MID_SEAL.reach()
        finally:
            self._live.discard(pack)
            await pack.close_files()

    async def _flip(self, pack: Pack) -> None:
        """State first: from here on no commit of its bytes is accepted.

        If the database does not answer, the lease runs out and the seal job does this.
        """
        for _ in range(_SEAL_ATTEMPTS):
            try:
                if await self._rows.seal(pack.segment_id, pack.epoch, pack.size, pack.confirmed):
                    metrics.segments_sealed.add((pack.why,))
            except (StoreError, psycopg.Error) as why:
                log.warning("segment %s was not sealed: %s", pack.segment_id, why)
                await asyncio.sleep(_RETRY_S)
            else:
                return


def _settle(stored: object) -> None:
    assert isinstance(stored, Stored)
    stored.settle()


def _pieces(source: BinaryIO) -> list[Buffer]:
    source.seek(0)
    return list(iter(lambda: source.read(_READ_BYTES), b""))
