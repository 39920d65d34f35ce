"""A range of one segment read the thorough way: every drive may be asked, every block is verified.

Here: choosing copies, decoding around shards that are missing, slow or corrupt, telling damage, and
finding out that a location is stale. Not here: the quick way for what lies in the page cache
(`reader`), records.

Promise: bytes of coded segments come out verified against their shard's checksums; those of copies
as the given `check` accepts them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from time import perf_counter
from typing import Protocol
from uuid import UUID

from core import metrics
from core.errors import (
    NotEnoughShards,
    ShardCorrupt,
    ShardMissing,
    StaleEpoch,
    StoreError,
)
from storage_nodes.coding import coder
from storage_nodes.damage import SLOW_S, Damage, State
from storage_nodes.located import Located
from storage_nodes.policy import policy
from storage_nodes.race import Pace, first_answers
from storage_nodes.segment_rows import Whereabouts
from storage_nodes.shard_file import HEADER_SIZE
from storage_nodes.shard_name import ShardName, first_copy
from storage_nodes.shard_reads import ShardReads
from storage_nodes.striping import Striping

Ranges = Sequence[tuple[int, int]]
Check = Callable[[list[bytes]], bool]


class Rows(Protocol):
    async def whereabouts(self, segment_id: UUID) -> Whereabouts | None: ...


def striping_of(located: Located) -> Striping:
    assert located.cell_size is not None
    return Striping(located.size, policy(located.policy).needed, located.cell_size)


class Window:
    """One segment as seen by one read. Shard ranges asked for twice are read once.

    `fresh` is set when the location turned out to be stale (StaleEpoch is raised then); a location
    known to be fresh (`is_fresh`) is not asked for again.
    """

    def __init__(
        self,
        located: Located,
        shards: ShardReads,
        rows: Rows,
        damage: Damage,
        pace: Pace,
        *,
        is_fresh: bool = False,
    ) -> None:
        self.located = located
        self.fresh: Whereabouts | None = None
        self._shards = shards
        self._rows = rows
        self._damage = damage
        self._pace = pace
        self._is_fresh = is_fresh
        self._asking: asyncio.Task[None] | None = None
        self._ranges: dict[tuple[int, int, int], asyncio.Task[bytes]] = {}

    async def copied(self, ranges: Ranges, check: Check) -> list[bytes]:
        """Ranges of a replicated segment, from the first copy whose bytes `check` accepts."""
        located = self.located
        count = len(located.drives)
        turn = first_copy(located.segment_id, count)
        order = sorted(
            (each for each in range(count) if located.drives[each]),
            key=lambda index: (self._is_known(index), (index - turn) % count),
        )
        attempts = ((each, self._copy_of(each, ranges, check)) for each in order)
        answers = await first_answers(1, attempts, pace=self._pace)
        return next(iter(answers.values()))

    async def coded(self, start: int, stop: int) -> bytes:
        """[start, stop) of a coded segment."""
        striping = striping_of(self.located)
        pieces = [
            (index, offset, length, *striping.blocks(offset, length))
            for index, offset, length in striping.pieces(start, stop)
        ]
        cells = [
            asyncio.ensure_future(self._cell(index, low, high)) for index, _, _, low, high in pieces
        ]
        try:
            blocks = await asyncio.gather(*cells)
        finally:
            for cell in cells:
                cell.cancel()
            self.drop()
        return b"".join(
            blocks[at][offset - low : offset - low + length]
            for at, (_, offset, length, low, _) in enumerate(pieces)
        )

    def drop(self) -> None:
        """Let go of what is still being read."""
        for task in self._ranges.values():
            task.cancel()
        self._ranges.clear()

    def _may_end_before(self, index: int, ranges: Ranges) -> bool:
        """Whether nobody has confirmed that this copy reaches the end of the ranges."""
        confirmed = self.located.confirmed
        return confirmed is None or confirmed[index] < max(stop for _, stop in ranges)

    def _copy_of(
        self, index: int, ranges: Ranges, check: Check
    ) -> Callable[[], Awaitable[list[bytes]]]:
        return lambda: self._copy(index, ranges, check)

    async def _copy(self, index: int, ranges: Ranges, check: Check) -> list[bytes]:
        name = self._name(index)
        began = perf_counter()
        try:
            shard = await self._shards.opened(name, self.located.drives[index])
            found = [
                await shard.reader.read(HEADER_SIZE + start, stop - start) for start, stop in ranges
            ]
            is_whole = all(
                len(piece) == stop - start
                for piece, (start, stop) in zip(found, ranges, strict=True)
            )
            if is_whole and check(found):
                self._pace.add(perf_counter() - began)
                return found
            if self.located.state == "open" or (
                self._may_end_before(index, ranges) and (not is_whole or _is_zero(found))
            ):
                # A copy closed early is a prefix of the others, perhaps with zeros behind it up to
                # the length its file had from the start: nothing is wrong with it.
                raise ShardMissing("The copy ends before that.", shard=name)
            raise ShardCorrupt("A record does not verify.", shard=name)
        except ShardCorrupt:
            self._report(index, "corrupt")
            raise
        except ShardMissing as why:
            self._shards.forget(name)
            await self._confirm()
            if why.message == ShardMissing.says:
                self._report(index, "missing")
            raise
        except (StoreError, OSError):
            self._shards.forget(name)
            self._pass_over(index)
            await self._confirm()
            raise

    async def _cell(self, index: int, first: int, last: int) -> bytes:
        """Blocks of one data shard: read, or decoded from others when that fails or takes long."""
        attempts: list[tuple[str, Callable[[], Awaitable[bytes]]]] = [
            ("decoded", lambda: self._decoded(index, first, last))
        ]
        if self.located.drives[index]:
            # What was broken a moment ago is the last resort: it may be mended by now.
            turn = 1 if self._is_known(index) else 0
            attempts.insert(turn, ("read", lambda: self._range(index, first, last)))
        answers = await first_answers(1, attempts, pace=self._pace)
        if "decoded" in answers:
            metrics.decoded_reads.add()
            if not self._is_known(index):
                # It did not fail, it was slow: the next ranges need not wait to learn that.
                located = self.located
                self._damage.pass_over(located.segment_id, located.epoch, index, for_s=SLOW_S)
        return next(iter(answers.values()))

    async def _decoded(self, lost: int, first: int, last: int) -> bytes:
        code = policy(self.located.policy)
        have = await first_answers(code.needed, self._others(lost, first, last), pace=self._pace)
        restored = coder(code.needed, code.parity).restore(have, [lost])
        return restored[lost]

    def _others(
        self, lost: int, first: int, last: int
    ) -> Iterator[tuple[int, Callable[[], Awaitable[bytes]]]]:
        """The other shards: what is being read anyway first, what was broken a moment ago last."""
        located = self.located
        others = [
            each for each in range(len(located.drives)) if each != lost and located.drives[each]
        ]
        others.sort(
            key=lambda each: (self._is_known(each), (each, first, last) not in self._ranges, each)
        )
        for index in others:
            yield index, self._range_of(index, first, last)

    def _range_of(self, index: int, first: int, last: int) -> Callable[[], Awaitable[bytes]]:
        return lambda: self._range(index, first, last)

    async def _range(self, index: int, first: int, last: int) -> bytes:
        """Verified blocks of one shard, shared by all of this window who want them."""
        key = (index, first, last)
        task = self._ranges.get(key)
        if task is None:
            task = self._ranges[key] = asyncio.create_task(self._read_range(index, first, last))
            task.add_done_callback(_retrieved)
        return await asyncio.shield(task)

    async def _read_range(self, index: int, first: int, last: int) -> bytes:
        name = self._name(index)
        length = striping_of(self.located).shard_length
        began = perf_counter()
        try:
            found = await self._shards.blocks(name, self.located.drives[index], length, first, last)
        except ShardCorrupt:
            self._shards.forget(name)
            self._report(index, "corrupt")
            raise
        except ShardMissing:
            self._shards.forget(name)
            await self._confirm()
            self._report(index, "missing")
            raise
        except (StoreError, OSError):
            self._shards.forget(name)
            self._pass_over(index)
            await self._confirm()
            raise
        self._pace.add(perf_counter() - began)
        return found

    async def _confirm(self) -> None:
        """Ask once where the segment is now; StaleEpoch when it has moved."""
        if self._is_fresh:
            return
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        await asyncio.shield(self._asking)
        if self.fresh is not None:
            raise StaleEpoch(segment=self.located.segment_id)

    async def _ask(self) -> None:
        found = await self._rows.whereabouts(self.located.segment_id)
        if found is None or found.state == "dead":
            raise NotEnoughShards("The segment is gone.", segment=self.located.segment_id)
        located = self.located
        if (found.epoch, found.layout, list(found.drives)) != (
            located.epoch,
            located.layout,
            list(located.drives),
        ):
            self.fresh = found
        self._is_fresh = True

    def _name(self, index: int) -> ShardName:
        return ShardName(self.located.segment_id, self.located.epoch, index)

    def _is_known(self, index: int) -> bool:
        return self._damage.is_known(self.located.segment_id, self.located.epoch, index)

    def _pass_over(self, index: int) -> None:
        self._damage.pass_over(self.located.segment_id, self.located.epoch, index)

    def _report(self, index: int, state: State) -> None:
        self._damage.noticed(self.located.segment_id, self.located.epoch, index, state)


def _is_zero(pieces: list[bytes]) -> bool:
    return all(piece.count(0) == len(piece) for piece in pieces)


def _retrieved(task: "asyncio.Task[bytes]") -> None:
    if not task.cancelled():
        task.exception()
