"""One open pack segment: many small bodies appended in groups, each durable before it is answered.

While one group is being made durable the next gathers; nobody waits for a timer. All copies get
the same groups in the same order. An append is answered when as many copies hold its group as its
bucket asks for, and no slower copy delays the next group, up to a bound.

A copy that fails, or stays `lag_s` behind the quorum, is closed for good, and the pack takes
nothing more: its owner seals it and opens another (`packs`). Requests that go away take nobody
with them.

Not here: rows and leases (`packs`), records (`pack_format`), one drive's queue (`pack_copies`).
"""

import asyncio
import ctypes
from collections.abc import Callable, Sequence
from mmap import PAGESIZE
from typing import Protocol
from uuid import UUID

from core import clock, metrics
from core.errors import QuorumNotMet, SegmentClosed
from core.failpoints import declare
from storage_nodes.located import Stored
from storage_nodes.pack_copies import Group, PackCopy, Waiting
from storage_nodes.pack_format import (
    ALIGNMENT,
    GROUP_ALIGNMENT,
    SegmentRecords,
    aligned,
    record_length,
)
from storage_nodes.stores.base import Buffer, ShardFile

# A group is one durable write: large enough to share its cost, small enough to be quick.
GROUP_BYTES = 8 << 20
GROUP_RECORDS = 256
# A slower copy may be this far behind before it holds up the next group; then it catches up or
# is closed for its lag.
BACKLOG_BYTES = 16 << 20
# A copy that has not answered for so long, quorum or not, will not: others take the appends.
STALL_S = 30.0
# How long a drive may take to end what it is doing when its copy is closed.
CLOSE_S = 5.0

MID_GROUP = declare(
    "pack.mid-group", point="C15", doc="one copy of a group durable, not the others"
)


class Later(Protocol):
    """`loop.call_later`."""

    def __call__(self, delay_s: float, callback: Callable[[], None], /) -> object: ...


class Pack:
    """Appends to one segment. `on_closing` is called once, when it will take no more."""

    def __init__(
        self,
        *,
        segment_id: UUID,
        epoch: int,
        policy_name: str,
        files: Sequence[tuple[int, ShardFile | None]],  # drive and file of each copy
        quorum: int,  # copies that must hold a group before the next is sent
        capacity: int,
        lag_s: float,
        on_closing: Callable[["Pack"], None],
        on_bad_drive: Callable[[int, str], None] = lambda _, __: None,
        later: Later | None = None,
    ) -> None:
        self.segment_id = segment_id
        self.epoch = epoch
        self.policy_name = policy_name
        self.opened_at = clock.monotonic()
        self.size = 0  # up to the end of the last group that was answered
        self.unsettled = 0  # answered appends whose commit is still to come
        self.is_closing = False
        self.why = ""  # it was closed
        self._quorum = quorum
        self._capacity = capacity
        self._lag_s = lag_s
        self._on_closing = on_closing
        self._on_bad_drive = on_bad_drive
        self._loop = asyncio.get_running_loop()
        self._later: Later = later or self._loop.call_later
        self._records = SegmentRecords(segment_id)
        self._gathered: list[tuple[asyncio.Future[object], int, bytes, Sequence[Buffer], int]] = []
        self._tail = 0  # where the next group starts
        self._reserved = 0  # bytes of what is gathered
        self._pending: list[Group] = []  # sent, and somebody still waits for them
        self._is_scheduled = False
        self._is_watching = False
        self._quiet: asyncio.Future[None] | None = None
        self.drives = [drive_id for drive_id, _ in files]
        self._copies = [
            PackCopy(index, drive_id, file, self._durable, self._drop)
            for index, (drive_id, file) in enumerate(files)
            if file is not None
        ]
        for copy in self._copies:
            copy.start()

    @property
    def confirmed(self) -> list[int]:
        """Durable bytes of each copy, by index."""
        lengths = [0] * len(self.drives)
        for copy in self._copies:
            lengths[copy.index] = copy.durable
        return lengths

    @property
    def used(self) -> int:
        """Bytes of the address space given out."""
        return self._tail + self._reserved

    def takes(self, length: int) -> bool:
        """Is there room for a payload of that length?"""
        if self.is_closing:
            return False
        # One alignment gap per record and per group it may end up in.
        need = record_length(length) + ALIGNMENT + GROUP_ALIGNMENT
        return self.used + need <= self._capacity or self.used == 0

    def append(
        self, version_id: bytes, pieces: Sequence[Buffer], length: int, quorum: int
    ) -> "asyncio.Future[object]":
        """The future `Stored` of one payload. Ask `takes` first, in the same breath.

        Fails with SegmentClosed or QuorumNotMet: then nothing may count, and it may be appended
        elsewhere.
        """
        answer: asyncio.Future[object] = self._loop.create_future()
        self._gathered.append((answer, quorum, version_id, pieces, length))
        self._reserved += record_length(length) + ALIGNMENT
        if not self._is_scheduled:
            self._pump()
        return answer

    def close(self, why: str) -> None:
        """Take no more. What was sent is still answered; what was only gathered is refused."""
        if self.is_closing:
            return
        self.is_closing, self.why = True, why
        for answer, *_ in self._gathered:
            if not answer.done():
                answer.set_exception(SegmentClosed(segment=self.segment_id))
        self._gathered.clear()
        self._reserved = 0
        self._on_closing(self)
        self._check_quiet()

    async def quiet(self, settle_s: float) -> None:
        """Wait until all that was sent is answered and settled, for `settle_s` at most."""
        assert self.is_closing
        if self._is_quiet():
            return
        self._quiet = self._loop.create_future()
        try:
            async with asyncio.timeout(settle_s):
                await self._quiet
        except TimeoutError:
            return

    async def close_files(self) -> None:
        """The last thing done with a pack. Copies still behind stay the prefixes they are, and
        appends nobody answered are refused.
        """
        for copy in self._copies:
            copy.close()
        self._give_up_hopeless()
        await asyncio.gather(*(copy.closed(CLOSE_S) for copy in self._copies))

    def _pump(self) -> None:
        """Send the next group in two turns, if nothing is in its way: whoever asks until then joins
        it, those included whose time comes with the next turn.
        """
        if self._is_scheduled or not self._gathered:
            return
        if self._pending and self._pending[-1].durable < self._quorum:
            return
        if any(c.queued_bytes > BACKLOG_BYTES for c in self._copies if not c.is_closed):
            return
        self._is_scheduled = True
        self._loop.call_soon(self._loop.call_soon, self._send)

    def _send(self) -> None:
        self._is_scheduled = False
        if not self._gathered:
            return
        group = self._compose()
        if not group.waiting:
            self._pump()
            return
        self._tail = group.stop
        self._pending.append(group)
        for copy in self._copies:
            if not copy.is_closed:
                copy.send(group)
        self._watch_lag()
        self._give_up_hopeless()

    def _compose(self) -> Group:
        """The next group: records one behind the other, ending at a fresh block."""
        records = self._records
        position = start = self._tail
        parts: list[Buffer] = []
        waiting: list[Waiting] = []
        taken = 0
        for answer, quorum, version_id, pieces, length in self._gathered:
            if waiting and (position - start + length > GROUP_BYTES or taken >= GROUP_RECORDS):
                break
            taken += 1
            self._reserved -= record_length(length) + ALIGNMENT
            if answer.done():
                continue  # the request has gone away before anything was written for it
            parts.append(records.header(version_id, length, position))
            parts.extend(pieces)
            waiting.append(Waiting(answer, quorum, position, length))
            stop = position + record_length(length)
            table = records.table(pieces, position)
            position = aligned(stop)
            parts.append(table.ljust(len(table) + position - stop, b"\0"))
        del self._gathered[:taken]
        stop = aligned(position, GROUP_ALIGNMENT)
        parts.append(bytes(stop - position))
        return Group(start, stop, _joined(parts, stop - start), waiting, clock.monotonic())

    def _durable(self, copy: PackCopy, groups: list[Group]) -> None:
        for group in groups:
            group.durable += 1
            if group.durable == 1:
                MID_GROUP.hit()
            if group.waiting:
                self._answer(group)
            if group.durable == self._quorum:
                group.quorum_at = clock.monotonic()
        self._pump()
        self._check_quiet()

    def _answer(self, group: Group) -> None:
        durable = group.durable
        still: list[Waiting] = []
        for each in group.waiting:
            if each.quorum > durable:
                still.append(each)
            elif not each.answer.done():
                self.unsettled += 1
                each.answer.set_result(
                    Stored(
                        self.segment_id,
                        each.position,
                        each.length,
                        each.length,
                        self.epoch,
                        "open",
                        durable,
                        self._settled,
                    )
                )
                self.size = max(self.size, group.stop)
        group.waiting = still
        if not still:
            self._pending.remove(group)

    def _settled(self) -> None:
        self.unsettled -= 1
        self._check_quiet()

    def _drop(self, copy: PackCopy, why: str, kind: str = "failed") -> None:
        metrics.copies_closed.add((kind,))
        copy.close()
        self._on_bad_drive(copy.drive_id, why)
        self.close("copies")
        self._give_up_hopeless()
        self._check_quiet()

    def _give_up_hopeless(self) -> None:
        """Fail the appends that so many copies can no longer hold."""
        for group in list(self._pending):
            possible = group.durable + sum(group in copy.queue for copy in self._copies)
            for each in group.waiting:
                if each.quorum > possible and not each.answer.done():
                    each.answer.set_exception(QuorumNotMet(segment=self.segment_id))
            group.waiting = [each for each in group.waiting if each.quorum <= possible]
            if not group.waiting:
                self._pending.remove(group)

    def _watch_lag(self) -> None:
        if not self._is_watching and any(copy.queue for copy in self._copies):
            self._is_watching = True
            self._later(self._lag_s, self._close_laggards)

    def _close_laggards(self) -> None:
        self._is_watching = False
        now = clock.monotonic()
        for copy in self._copies:
            if copy.queue and now >= self._due(copy.queue[0]):
                self._drop(copy, f"behind the others for {self._lag_s} s", "slow")
        self._watch_lag()

    def _due(self, group: Group) -> float:
        """When a copy that still lacks this group is closed."""
        if group.quorum_at is None:
            return group.sent_at + STALL_S
        return group.quorum_at + self._lag_s

    def _is_quiet(self) -> bool:
        return not (self._pending or self.unsettled or any(copy.queue for copy in self._copies))

    def _check_quiet(self) -> None:
        if self._quiet is not None and not self._quiet.done() and self._is_quiet():
            self._quiet.set_result(None)


def _joined(parts: list[Buffer], size: int) -> list[Buffer]:
    """One buffer that begins on a page: what writes past the page cache need.

    It comes from the heap, which keeps its pages (`core.malloc`): a mapping of its own would be
    faulted in for every group.
    """
    whole = memoryview(bytearray(size + PAGESIZE))
    start = -ctypes.addressof(ctypes.c_char.from_buffer(whole)) % PAGESIZE
    joined = whole[start : start + size]
    at = 0
    for part in parts:
        end = at + len(part)
        joined[at:end] = part
        at = end
    return [joined]
