"""Reading a long body: one window being sent, the next being read.

Here: cutting extents into windows, reading ahead by one, the quick way for what is in the page
cache. Not here: what is done when a drive is missing, slow or wrong (`reader.read_thoroughly`).

Promise: pieces come out verified, in order, at most `WINDOW` bytes each; memory is two of them. A
piece stays valid until the next is asked for. A location that went stale is looked up once per
window.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Executor

from core.errors import NotEnoughShards, StoreError
from storage_nodes.located import Located
from storage_nodes.policy import policy
from storage_nodes.reader import Reader
from storage_nodes.shard_file import HEADER_SIZE
from storage_nodes.shard_reads import OpenShard
from storage_nodes.striping import BLOCK
from storage_nodes.window import striping_of

WINDOW = 1 << 20

Refresh = Callable[[], Awaitable[Sequence[Located]]]
Piece = bytes | bytearray | memoryview


class Stream:
    """The bytes [start, stop) of extents that follow one another. Belongs to one consumer."""

    __slots__ = (
        "_ahead",
        "_at",
        "_locateds",
        "_reader",
        "_refresh",
        "_stop",
        "_threads",
        "_windows",
    )

    def __init__(
        self,
        reader: Reader,
        threads: Executor,
        locateds: Sequence[Located],
        start: int,
        stop: int,
        refresh: Refresh | None = None,
    ) -> None:
        self._reader = reader
        self._threads = threads
        self._locateds = locateds
        self._refresh = refresh
        self._at = start
        self._stop = stop
        self._windows = windows(locateds, start, stop)
        self._ahead: asyncio.Task[Piece] | None = None

    async def next(self) -> Piece:
        """The next piece; empty at the end."""
        task = self._ahead or self._start()
        if task is None:
            return b""
        self._ahead = task
        piece = await asyncio.shield(task)
        self._at += len(piece)
        self._ahead = self._start()
        return piece

    async def close(self) -> None:
        """Stop reading ahead. Harmless when repeated."""
        task, self._ahead = self._ahead, None
        self._windows = iter(())
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()

    def _start(self) -> "asyncio.Task[Piece] | None":
        window = next(self._windows, None)
        return None if window is None else asyncio.create_task(self._read(*window))

    async def _read(self, located: Located, start: int, stop: int) -> Piece:
        try:
            quick = await self._quickly(located, start, stop)
            if quick is not None:
                return quick
            return await self._reader.read_thoroughly(located, start, stop)
        except NotEnoughShards:
            if self._refresh is None:
                raise
        return await self._read_anew(stop - start)

    async def _read_anew(self, length: int) -> bytes:
        """The segment was rewritten: the same bytes lie elsewhere, perhaps cut differently."""
        assert self._refresh is not None
        self._locateds = await self._refresh()
        again = windows(self._locateds, self._at, self._at + length)
        found = b"".join([await self._reader.read_thoroughly(*window) for window in again])
        if len(found) != length:
            raise NotEnoughShards("The bytes are nowhere any more.")
        self._windows = windows(self._locateds, self._at + length, self._stop)
        return found

    async def _quickly(self, located: Located, start: int, stop: int) -> Piece | None:
        """What lies in the page cache. Coded windows are gathered and verified in a thread."""
        if located.record_size is not None:
            return self._reader.read_now(located, start, stop)
        shards = await self._data_shards(located)
        if shards is None:
            return None
        first, last = located.offset + start, located.offset + stop
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _cells, located, shards, first, last)

    async def _data_shards(self, located: Located) -> list[OpenShard] | None:
        """All data shards with their checksums at hand, or None when one is not to be had."""
        reads = self._reader.shards
        found: dict[int, OpenShard] = {}
        missing = []
        for index in range(policy(located.policy).needed):
            drive_id = located.drives[index]
            if drive_id == 0 or self._reader.is_known_bad(located, index):
                return None
            shard = reads.cached(located.segment_id, located.epoch, index, drive_id)
            if shard is None or shard.footer is None:
                missing.append(index)
            else:
                found[index] = shard
        if missing:
            found.update(await self._reader.open_in_time(located, missing))
        needed = policy(located.policy).needed
        return [found[index] for index in range(needed)] if len(found) == needed else None


def windows(
    locateds: Sequence[Located], start: int, stop: int
) -> Iterator[tuple[Located, int, int]]:
    """Extents and ranges of them that make up [start, stop), each at most WINDOW bytes.

    Cut where blocks or stripes end, so that no block is read twice.
    """
    base = 0
    for located in locateds:
        at, last = max(start - base, 0), min(stop - base, located.length)
        while at < last:
            cut = min(_cut(located, at), last)
            yield located, at, cut
            at = cut
        base += located.length


def _cut(located: Located, at: int) -> int:
    """Where a window that begins at `at` of the extent should end."""
    if located.record_size is not None:
        shift, step = located.skip, BLOCK
    elif (stripe := striping_of(located).stripe_size) <= WINDOW:
        shift, step = located.offset, stripe
    else:
        assert located.cell_size is not None
        shift, step = located.offset, min(located.cell_size, WINDOW)
    end = (at + shift + WINDOW) // step * step - shift
    return max(end, at + 1)


def _cells(located: Located, shards: Sequence[OpenShard], first: int, last: int) -> Piece | None:
    """[first, last) of a coded segment from its data shards; None when that is not so simple."""
    striping = striping_of(located)
    gathered = bytearray(last - first)
    view = memoryview(gathered)
    at = 0
    for index, offset, length in striping.pieces(first, last):
        low, high = striping.blocks(offset, length)
        shard = shards[index]
        place = view[at : at + length]
        at += length
        try:
            # Whole blocks go straight to their place; at ragged edges more is read than wanted.
            blocks = place if high - low == length else memoryview(bytearray(high - low))
            if not shard.reader.read_into_now(HEADER_SIZE + low, blocks):
                return None
            shard.verify(blocks, low)
        except (StoreError, OSError):
            return None
        if blocks is not place:
            place[:] = blocks[offset - low : offset - low + length]
    return gathered
