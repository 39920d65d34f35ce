"""GET: the bytes of a version, or a range of them.

Here: cutting a range over extents, one fresh look-up when bytes have moved. Not here: finding the
version (the door has looked it up), shards and decoding (storage_nodes).
"""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import NotEnoughShards
from core.ranges import ByteRange
from objects.found import Found, VersionView
from objects.segments import Located, Stream
from objects.store import Store

# Up to this many bytes are read in one piece, without a stream.
WHOLE = 1 << 20


class Reading:
    """Bytes on their way out: all of them in `whole`, or piece by piece.

    The first piece of a stream is there already: bytes that cannot be read at all are an error
    before an answer has begun.
    """

    __slots__ = ("_first", "_stream", "start", "stop", "version", "whole")

    def __init__(
        self,
        version: VersionView,
        start: int,
        stop: int,
        whole: bytes | None,
        stream: Stream | None = None,
        first: bytes | bytearray | memoryview | None = None,
    ) -> None:
        self.version = version
        self.start = start
        self.stop = stop
        self.whole = whole
        self._stream = stream
        self._first = first

    async def next(self) -> bytes | bytearray | memoryview:
        """The next piece; `b""` at the end. Whole readings give themselves once."""
        if self._stream is None:
            whole, self.whole = self.whole, b""
            return whole or b""
        first, self._first = self._first, None
        return await self._stream.next() if first is None else first

    async def close(self) -> None:
        self._first = None
        if self._stream is not None:
            await self._stream.close()


async def open(store: Store, found: Found, part: ByteRange | None) -> Reading:
    """Begin to read what was found; None reads all of it."""
    version = found.version
    assert version is not None
    start, stop = (0, version.size) if part is None else (part.start, part.stop)
    if stop - start > WHOLE:
        stream = _stream(store, version, start, stop)
        try:
            return Reading(version, start, stop, None, stream, await stream.next())
        except BaseException:
            await stream.close()
            raise
    return Reading(version, start, stop, await read_whole(store, version, start, stop))


def _stream(store: Store, version: VersionView, start: int, stop: int) -> Stream:
    async def refresh() -> Sequence[Located]:
        return [place.located for place in await store.lookups.places(version)]

    return store.segments.stream(version.locations, start, stop, refresh)


async def read_whole(store: Store, version: VersionView, start: int, stop: int) -> bytes:
    """A short range in one piece; looks again once when its segments were rewritten meanwhile."""
    if start == stop:
        return b""
    try:
        return await read_located(store, version.locations, start, stop)
    except NotEnoughShards:
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
