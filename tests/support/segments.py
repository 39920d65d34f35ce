"""Drives and rows in memory for tests of segments, with gates to hold a drive back.

Here: a fleet of `MemoryShardStore`s, one that waits until a test lets it go on, the rows of
segments without a database (the SQL has tests of its own), and benches of both.
"""

import asyncio
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from core.config import config
from core.errors import DriveGone
from storage_nodes.located import Located, Stored
from storage_nodes.pack import Later
from storage_nodes.segment_rows import Whereabouts
from storage_nodes.segments import Segments
from storage_nodes.shard_name import ShardName
from storage_nodes.stores.base import Buffer, Purpose, ShardReader
from storage_nodes.stores.memory import MemoryShardFile, MemoryShardStore


@dataclass(frozen=True)
class MemoryDrive:
    id: int
    zone: str
    weight: float = 1.0


class GatedFile:
    """A file whose durable writes wait while the store's gate is closed."""

    def __init__(self, inner: MemoryShardFile, store: "GatedStore") -> None:
        self._inner = inner
        self._store = store
        self.name = inner.name

    async def write(self, offset: int, buffers: Sequence[Buffer], *, sync: bool = False) -> None:
        self._store.writes += 1
        self._store.given += [weakref.ref(each) for each in buffers if isinstance(each, memoryview)]
        await self._store.gate.wait()
        self._store.fail_if_told()
        await self._inner.write(offset, buffers, sync=sync)

    async def sync(self) -> None:
        await self._store.gate.wait()
        self._store.fail_if_told()
        await self._inner.sync()

    async def publish(self, *, replace: bool = False) -> None:
        await self._store.gate.wait()
        self._store.fail_if_told()
        await self._inner.publish(replace=replace)

    async def close(self) -> None:
        await self._inner.close()

    async def abandon(self) -> None:
        await self._inner.abandon()


class GatedStore(MemoryShardStore):
    """A drive that does nothing while `gate` is clear, and fails while `failing` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.failing: BaseException | None = None
        self.hang_reads = False
        self.writes = 0
        self.opens = 0
        self.uncached: set[ShardName] = set()
        # What was given to be written, for as long as anybody holds it.
        self.given: list[weakref.ref[memoryview]] = []

    def fail_if_told(self) -> None:
        if self.failing is not None:
            raise self.failing

    async def create(  # type: ignore[override]  # a wrapper of what the memory store gives
        self,
        name: ShardName,
        *,
        purpose: Purpose,
        size_bytes: int | None = None,
        header: Buffer = b"",
        uncached: bool = False,
    ) -> GatedFile:
        await self.gate.wait()
        self.fail_if_told()
        if uncached:
            self.uncached.add(name)
        inner = await super().create(name, purpose=purpose, size_bytes=size_bytes, header=header)
        return GatedFile(inner, self)

    async def open(self, name: ShardName) -> ShardReader:  # type: ignore[override]  # likewise
        await self.gate.wait()
        self.opens += 1
        inner = await super().open(name)
        return HangingReader(inner) if self.hang_reads else inner


class HangingReader:
    """A reader whose drive has stopped answering."""

    def __init__(self, inner: ShardReader) -> None:
        self.name = inner.name
        self.size = inner.size

    async def read(self, offset: int, length: int) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    def read_now(self, offset: int, length: int) -> bytes | None:
        return None

    def read_into_now(self, offset: int, place: memoryview) -> bool:
        return False

    async def close(self) -> None:
        return None


class MemoryFleet:
    """`count` drives, numbered from 1, spread over `zones` zones."""

    def __init__(self, count: int, zones: int = 3) -> None:
        self.cluster = UUID(int=7)
        self.stores = {number: GatedStore() for number in range(1, count + 1)}
        self.drives = [
            MemoryDrive(number, f"zone-{number % zones}") for number in range(1, count + 1)
        ]
        self.lost: set[int] = set()

    def hold(self, *drives: int) -> None:
        """These drives, or all, do nothing until they are released."""
        for drive in drives or self.stores:
            self.stores[drive].gate.clear()

    def release(self, *drives: int) -> None:
        for drive in drives or self.stores:
            self.stores[drive].gate.set()

    def healthy(self) -> list[MemoryDrive]:
        return [drive for drive in self.drives if drive.id not in self.lost]

    def store(self, drive_id: int) -> GatedStore:
        if drive_id in self.lost or drive_id not in self.stores:
            raise DriveGone(drive=drive_id)
        return self.stores[drive_id]


@dataclass
class MemoryRow:
    policy: str
    layout: str
    state: str
    drives: list[int]
    cell_size: int | None
    epoch: int = 1
    size: int = 0
    confirmed: list[int] | None = None


@dataclass
class MemoryRows:
    """What `SegmentRows` asks of the database, answered from a dictionary."""

    owner: str = "test"
    rows: dict[UUID, MemoryRow] = field(default_factory=dict)
    noticed_shards: list[tuple[UUID, int, int, str]] = field(default_factory=list)
    renewals: int = 0

    async def open_pack(self, segment_id: UUID, policy_name: str, drives: Sequence[int]) -> None:
        self.rows[segment_id] = MemoryRow(
            policy_name, "replicated", "open", list(drives), None, confirmed=[0] * len(drives)
        )

    async def open_own(
        self, segment_id: UUID, policy_name: str, drives: Sequence[int], cell_size: int | None
    ) -> None:
        layout = "coded" if cell_size else "replicated"
        self.rows[segment_id] = MemoryRow(policy_name, layout, "writing", list(drives), cell_size)

    async def renew(
        self, segment_id: UUID, size: int = 0, confirmed: Sequence[int] | None = None
    ) -> bool:
        row = self.rows.get(segment_id)
        if row is None or row.state not in ("open", "writing"):
            return False
        self.renewals += 1
        row.size = max(row.size, size)
        row.confirmed = list(confirmed) if confirmed is not None else row.confirmed
        return True

    async def seal(self, segment_id: UUID, epoch: int, size: int, confirmed: Sequence[int]) -> bool:
        row = self.rows[segment_id]
        if row.state != "open":
            return False
        row.state = "sealed" if size else "dead"
        row.size, row.confirmed = size, list(confirmed)
        return True

    async def finish_own(
        self,
        segment_id: UUID,
        *,
        size: int,
        drives: Sequence[int],
        confirmed: Sequence[int] | None,
    ) -> bool:
        row = self.rows[segment_id]
        if row.state != "writing":
            return False
        row.size, row.drives = size, list(drives)
        row.confirmed = None if confirmed is None else list(confirmed)
        return True

    async def abandon(self, segment_ids: Sequence[UUID]) -> None:
        for segment_id in segment_ids:
            self.rows[segment_id].state = "dead"

    async def whereabouts(self, segment_id: UUID) -> Whereabouts | None:
        row = self.rows.get(segment_id)
        if row is None:
            return None
        return Whereabouts(row.layout, row.state, row.epoch, row.drives, row.size, row.cell_size)

    async def noticed(self, segment_id: UUID, epoch: int, index: int, state: str) -> None:
        self.noticed_shards.append((segment_id, epoch, index, state))


class MemoryBench:
    """Drives and rows in memory, for what is tested over them."""

    def __init__(self, drives: int = 9) -> None:
        self.fleet = MemoryFleet(drives)
        self.rows = MemoryRows()

    def row(self, stored: Stored) -> MemoryRow:
        return self.rows.rows[stored.segment_id]

    def states(self) -> list[str]:
        return sorted(row.state for row in self.rows.rows.values())


class SegmentsBench(MemoryBench):
    """The segments of one process over them."""

    def __init__(self, drives: int = 9, later: Later | None = None) -> None:
        super().__init__(drives)
        self.segments = Segments(
            self.rows,  # type: ignore[arg-type]  # a fake with the same methods
            self.fleet,
            config(),
            later=later,
        )

    async def close(self) -> None:
        """Whatever was held up is let go first."""
        self.fleet.release()
        await self.segments.close()


class HandTimer:
    """`loop.call_later` turned by hand: `fire` runs what was asked for so far."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def __call__(self, delay_s: float, callback: Callable[[], None], /) -> None:
        self.waiting.append(callback)

    def fire(self) -> None:
        due, self.waiting = self.waiting, []
        for callback in due:
            callback()


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until something holds."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 (plain values change: there is nothing to await)
            await asyncio.sleep(0)


def located(rows: MemoryRows, stored: Stored) -> Located:
    """What a look-up would say of bytes that were just written."""
    row = rows.rows[stored.segment_id]
    return Located(
        stored.segment_id,
        row.layout,
        row.state,
        row.epoch,
        row.drives,
        row.size,
        row.cell_size,
        row.policy,
        stored.offset,
        stored.record_size,
        0,
        stored.length,
        row.confirmed,
    )
