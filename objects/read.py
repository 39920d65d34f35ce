"""GET: the bytes of a version, or a range of them.

Here: cutting a range over extents, sharing one read among equal requests, one fresh look-up when
bytes have moved. Not here: finding the version (the door has looked it up), shards and decoding
(storage_nodes).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

from core.errors import NotEnoughShards, ShardMissing, StaleEpoch, StoreError
from core.ranges import ByteRange
from objects.found import Found, VersionView
from objects.segments import Located, Stream
from objects.store import Store

# Up to this many bytes are read in one piece, without a stream.
WHOLE = 1 << 20
# What a location that has been replaced looks like to its reader.
STALE = (StaleEpoch, ShardMissing, NotEnoughShards)


class Reading:
    """Bytes on their way out: all of them in `whole`, or piece by piece."""

    __slots__ = ("_stream", "start", "stop", "version", "whole")

    def __init__(
        self,
        version: VersionView,
        start: int,
        stop: int,
        whole: bytes | None,
        stream: Stream | None = None,
    ) -> None:
        self.version = version
        self.start = start
        self.stop = stop
        self.whole = whole
        self._stream = stream

    async def next(self) -> bytes | memoryview:
        """The next piece; `b""` at the end. Whole readings give themselves once."""
        if self._stream is None:
            whole, self.whole = self.whole, b""
            return whole or b""
        return await self._stream.next()

    async def close(self) -> None:
        if self._stream is not None:
            await self._stream.close()


async def open(store: Store, found: Found, part: ByteRange | None) -> Reading:
    """Begin to read what was found; None reads all of it."""
    version = found.version
    assert version is not None
    start, stop = (0, version.size) if part is None else (part.start, part.stop)
    if stop - start > WHOLE:
        return Reading(version, start, stop, None, _stream(store, version, start, stop))
    if start == stop:
        return Reading(version, start, stop, b"")
    wanted = (version.id, start, stop)
    running = store.reading.get(wanted)
    if running is not None:
        return Reading(version, start, stop, await asyncio.shield(running))
    return Reading(version, start, stop, await _read_shared(store, version, wanted))


def _stream(store: Store, version: VersionView, start: int, stop: int) -> Stream:
    async def refresh() -> Sequence[Located]:
        return [place.located for place in await store.lookups.places(version)]

    return store.segments.stream(version.locations, start, stop, refresh)


async def _read_shared(store: Store, version: VersionView, wanted: tuple[UUID, int, int]) -> bytes:
    """Read for everybody who asks for the same until it is there."""
    answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    store.reading[wanted] = answer
    try:
        content = await _read_whole(store, version, wanted[1], wanted[2])
    except BaseException as why:
        # One who went away takes nobody's answer along: the others read for themselves.
        answer.set_exception(why if isinstance(why, StoreError) else StaleEpoch())
        answer.exception()
        raise
    else:
        answer.set_result(content)
        return content
    finally:
        del store.reading[wanted]


async def _read_whole(store: Store, version: VersionView, start: int, stop: int) -> bytes:
    try:
        return await read_located(store, version.locations, start, stop)
    except STALE:
        fresh = [place.located for place in await store.lookups.places(version)]
        if not fresh:
            raise
        return await read_located(store, fresh, start, stop)


async def read_located(store: Store, locations: Sequence[Located], start: int, stop: int) -> bytes:
    """The bytes [start, stop) of extents that follow one another."""
    if len(locations) == 1:
        return await store.segments.read(locations[0], start, stop)
    pieces = []
    base = 0
    for located in locations:
        first, last = max(start, base), min(stop, base + located.length)
        if first < last:
            pieces.append(await store.segments.read(located, first - base, last - base))
        base += located.length
    return b"".join(pieces)
