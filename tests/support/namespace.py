"""A store of the objects app over real PostgreSQL, with segments kept in memory.

The rows of segments are real, so that commits admit or refuse as they do in life; the bytes are not
on drives. For tests of versions, listings, uploads: what a commit means, not where bytes lie.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from buckets import control
from core.config import override
from core.database import MISC, Lanes
from core.errors import NotEnoughShards, SegmentClosed
from core.names import new_id, random_hex
from core.ranges import ByteRange
from core.streams import Whole
from objects import delete, read, write
from objects.delete import Deleted
from objects.draft import UNCONDITIONAL, Conditions, Draft, Written
from objects.found import DATA, NONE, Found, Question
from objects.segments import Located, Payload, Refresh, Stored
from objects.store import Store
from tenants import accounts

T = TypeVar("T")
MiB = 1 << 20
_OPEN = """
INSERT INTO segment (id, storage_policy, layout, state, owner, lease_until, drives, confirmed)
VALUES (%s, %s, 'replicated', %s, 'memory', now() + interval '1 hour', '{1,2,3}', '{0,0,0}')
"""


class MemorySegments:
    """What the verbs ask of segments, with bytes in a dictionary."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._bytes: dict[UUID, bytearray] = {}
        self._open: dict[str, UUID] = {}
        self._lock = asyncio.Lock()
        self.unsettled = 0
        self.reads = 0

    async def append(
        self, policy_name: str, ack: str, version_id: UUID, payload: Payload
    ) -> Stored:
        content = _content(payload)
        async with self._lock:
            segment = self._open.get(policy_name)
            if segment is None:
                segment = self._open[policy_name] = await self._new(policy_name, "open")
        space = self._bytes[segment]
        # Records begin on a block, and their headers take room.
        offset = -(-len(space) // 4096) * 4096
        space.extend(bytes(offset - len(space)))
        space.extend(content)
        return self._stored(segment, offset, len(content), len(content), "open")

    def refused(self, segment_id: UUID) -> None:
        """The next append begins another segment."""
        for policy_name, segment in list(self._open.items()):
            if segment == segment_id:
                del self._open[policy_name]

    async def write(self, policy_name: str, ack: str, size: int | None = None) -> MemoryWriter:
        return MemoryWriter(self, await self._new(policy_name, "writing"))

    async def read(self, located: Located, start: int, stop: int) -> bytes:
        self.reads += 1
        assert 0 <= start <= stop <= located.length
        space = self._bytes.get(located.segment_id)
        if space is None:
            raise NotEnoughShards()
        first = located.offset + located.skip
        return bytes(space[first + start : first + stop])

    def stream(
        self, locateds: Sequence[Located], start: int, stop: int, refresh: Refresh | None = None
    ) -> MemoryStream:
        return MemoryStream(self, list(locateds), start, stop)

    async def close(self) -> None:
        """Nothing is open beyond this object."""

    def close_segment(self, policy_name: str = "ec-6-3") -> UUID:
        """Forget the open segment: the next append begins another."""
        return self._open.pop(policy_name)

    async def _new(self, policy_name: str, state: str) -> UUID:
        segment = new_id()
        await self._lanes.fetch(MISC, _OPEN, (segment, policy_name, state))
        self._bytes[segment] = bytearray()
        return segment

    def _stored(
        self, segment: UUID, offset: int, record: int | None, length: int, kind: Any
    ) -> Stored:
        self.unsettled += 1

        def settled() -> None:
            self.unsettled -= 1

        return Stored(segment, offset, record, length, 1, kind, 3, settled)


class MemoryWriter:
    """Bytes of a large body, in one segment."""

    def __init__(self, segments: MemorySegments, segment: UUID) -> None:
        self._segments = segments
        self._segment = segment

    async def feed(self, piece: bytes) -> None:
        self._segments._bytes[self._segment].extend(piece)

    async def finish(self) -> list[Stored]:
        size = len(self._segments._bytes[self._segment])
        return [self._segments._stored(self._segment, 0, None, size, "writing")]

    async def abandon(self) -> None:
        self._segments._bytes.pop(self._segment, None)


class MemoryStream:
    """Bytes in pieces of 64 KiB."""

    def __init__(
        self, segments: MemorySegments, locateds: list[Located], start: int, stop: int
    ) -> None:
        self._segments = segments
        self._locateds = locateds
        self._at = start
        self._stop = stop

    async def next(self) -> bytes:
        base = 0
        for located in self._locateds:
            if base <= self._at < min(self._stop, base + located.length):
                last = min(self._at + 65536, base + located.length, self._stop)
                piece = await self._segments.read(located, self._at - base, last - base)
                self._at = last
                return piece
            base += located.length
        return b""

    async def close(self) -> None:
        self._at = self._stop


def _content(payload: Payload) -> bytes:
    if isinstance(payload, bytes):
        return payload
    if isinstance(payload, list):
        return b"".join(payload)
    payload.seek(0)
    return payload.read()


@dataclass(frozen=True)
class Claim:
    """A checksum as a client sends it with a body; no value when it is to follow."""

    algorithm: str
    value: str | None


class Refusing:
    """Segments whose next appends are refused, as those of a sealed segment are."""

    def __init__(self, inner: MemorySegments, times: int) -> None:
        self._inner = inner
        self._left = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def append(
        self, policy_name: str, ack: str, version_id: UUID, payload: Payload
    ) -> Stored:
        if self._left:
            self._left -= 1
            raise SegmentClosed()
        return await self._inner.append(policy_name, ack, version_id, payload)


class Verbs:
    """A store with one tenant and one bucket, and the verbs in few words."""

    def __init__(self, store: Store, access_key: str, bucket: str) -> None:
        self.store = store
        self.access_key = access_key
        self.bucket = bucket

    async def look(
        self, key: str | None = None, version_id: str | None = None, want: int = DATA
    ) -> Found:
        found = await self.store.look(Question(self.access_key, self.bucket, key, version_id, want))
        found.check = _allow
        return found

    async def put(
        self, key: str, content: bytes, conditions: Conditions = UNCONDITIONAL, **draft: Any
    ) -> Written:
        found = await self.look(want=NONE)
        return await write.put(
            self.store, found, key, Whole(content), Draft(conditions=conditions, **draft)
        )

    async def get(
        self, key: str, version_id: str | None = None, part: ByteRange | None = None
    ) -> bytes | None:
        """The bytes; None when there is no such object."""
        found = await self.look(key, version_id)
        if found.version is None or found.version.is_marker:
            return None
        return await drained(await read.open(self.store, found, part))

    async def delete(
        self, key: str, version_id: str | None = None, conditions: Conditions = UNCONDITIONAL
    ) -> Deleted:
        found = await self.look(want=NONE)
        return await delete.delete(self.store, found, key, version_id, conditions)

    async def set_versioning(self, status: str) -> None:
        found = await self.look(want=NONE)
        assert found.bucket is not None
        await self.store.control(control.set_versioning, found.bucket.id, status)

    async def sql(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        return await self.store.lanes.fetch(MISC, statement, parameters, writes=True)


class Namespace(Verbs):
    """Such a store whose segments are in memory."""

    def __init__(
        self, store: Store, segments: MemorySegments, access_key: str, bucket: str
    ) -> None:
        super().__init__(store, access_key, bucket)
        self.segments = segments


def _allow(found: Found) -> None:
    """Any caller may do anything here."""


async def drained(reading: read.Reading) -> bytes:
    """All bytes of a reading."""
    if reading.whole is not None:
        return reading.whole
    pieces = []
    while piece := await reading.next():
        pieces.append(bytes(piece))
    await reading.close()
    return b"".join(pieces)


@asynccontextmanager
async def namespace(versioning: str = "", lock_timeout_s: float = 60.0) -> AsyncIterator[Namespace]:
    """A store on the configured database, with a tenant and a bucket of its own."""
    async with store_in_memory(lock_timeout_s) as (store, segments):
        owner = await new_tenant(store)
        bucket = await new_bucket(store, owner, versioning)
        yield Namespace(store, segments, owner.access_key, bucket)


@asynccontextmanager
async def store_in_memory(
    lock_timeout_s: float = 60.0,
) -> AsyncIterator[tuple[Store, MemorySegments]]:
    # A starved machine may hold a lock for seconds: only tests of the time-outs want them short.
    patience = {
        "connect_timeout_s": 120.0,
        "answer_timeout_s": 600.0,
        "idle_transaction_s": 600.0,
        "lock_timeout_s": lock_timeout_s,
    }
    with override(database=patience) as settings:
        pass
    lanes = Lanes(settings.database)
    segments = MemorySegments(lanes)
    store = Store(settings, lanes, segments)
    try:
        yield store, segments
    finally:
        await store.close()


async def new_tenant(store: Store) -> accounts.Created:
    """A tenant nobody else uses."""
    return await store.control(accounts.create_tenant, f"tenant-{random_hex(12)}")


async def new_bucket(store: Store, created: accounts.Created, versioning: str = "") -> str:
    """The name of a new bucket of a tenant."""
    bucket = f"bucket-{random_hex(12)}"
    made = await store.control(control.create, created.tenant.id, bucket, region="us-east-1")
    if versioning:
        await store.control(control.set_versioning, made.id, versioning)
    return bucket


class Stories:
    """One store for the many examples of a property; each example gets a bucket of its own."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._opened = store_in_memory()
        self._store, self._segments = self._runner.run(self._opened.__aenter__())
        self._tenant = self._runner.run(new_tenant(self._store))

    def tell(self, story: Callable[[Namespace], Awaitable[T]], versioning: str = "") -> T:
        async def told() -> T:
            bucket = await new_bucket(self._store, self._tenant, versioning)
            owner = self._tenant.access_key
            return await story(Namespace(self._store, self._segments, owner, bucket))

        return self._runner.run(told())

    def close(self) -> None:
        self._runner.run(self._opened.__aexit__(None, None, None))
        self._runner.close()
