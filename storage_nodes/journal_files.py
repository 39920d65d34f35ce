"""Files of the journal on the cluster's drives: several copies, zones apart.

Here: which drives, writing all copies at once, listing, mending, trashing. Not here: what is in
them (`journal_format`, the `journal` family), reading them without nodes (`manage.py rebuild`).

Four copies, one more than coded data may lose: any three drives may be gone, and the journal is
still whole. A file is immutable once published; its name has a random number nobody else draws.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar
from uuid import UUID

from core.errors import QuorumNotMet, ShardCorrupt, ShardMissing, StoreError
from core.wording import counted
from storage_nodes.journal_format import Decoder
from storage_nodes.placement import Candidate, place
from storage_nodes.policy import policy
from storage_nodes.shard_name import JournalName
from storage_nodes.stores.base import Buffer, ShardFile, ShardStore

log = logging.getLogger(__name__)

COPIES = policy("rep-4")
# Copies that must be durable before the journal counts them, on a cluster that has as many drives.
ENOUGH = 3
_PIECE = 4 << 20
# What a drive has taken is made durable this often: one flush of a whole snapshot would take longer
# than any drive is waited for.
SYNC_EVERY = 32 << 20
# What may be wrong with one drive; the others carry on.
TROUBLE = (StoreError, OSError)

Result = TypeVar("Result")
Stores = Mapping[int, ShardStore]


def new_attempt() -> int:
    """What tells rival files of one number apart."""
    return secrets.randbits(64)


def drives_for(
    writable: Sequence[Candidate], cluster: UUID, *, silent: Sequence[Candidate] = ()
) -> list[int]:
    """The drives of the journal: always the same ones, for as long as they are well.

    Spread over all drives, the loss of any few would cost some file all its copies; kept together,
    only the loss of these would. The `silent` take the places for which there are no others: until
    the cluster gives them up, they count among the drives of which ENOUGH must take a file.
    """
    chosen = place(writable, COPIES, cluster)
    return chosen + place(silent, COPIES, cluster)[: COPIES.width - len(chosen)]


class Writing:
    """One file being written to several drives; a drive that fails is left out."""

    def __init__(self, name: JournalName, files: dict[int, ShardFile], enough: int) -> None:
        self.name = name
        self._files = files
        self._enough = enough
        self._at = 0
        self._unsynced = 0

    @classmethod
    async def begin(cls, stores: Stores, drives: Sequence[int], name: JournalName) -> "Writing":
        """QuorumNotMet when too few drives take it."""
        known = [drive for drive in drives if drive in stores]

        async def create(drive: int) -> ShardFile:
            return await stores[drive].create(name, purpose="shard")

        made = await _each(known, create, name)
        writing = cls(name, made, max(1, min(ENOUGH, len(drives))))
        await writing._check()
        return writing

    async def append(self, pieces: Sequence[Buffer]) -> None:
        """The next bytes, to every drive."""
        at = self._at

        size = sum(map(len, pieces))
        self._unsynced += size
        is_time = self._unsynced >= SYNC_EVERY

        async def write(drive: int) -> None:
            await self._files[drive].write(at, pieces, sync=is_time)

        await self._do(write)
        self._at += size
        if is_time:
            self._unsynced = 0

    async def publish(self) -> list[int]:
        """Durable under its name on the drives told."""

        async def publish(drive: int) -> None:
            await self._files[drive].publish()

        await self._do(publish)
        return sorted(self._files)

    async def abandon(self) -> None:
        """Nothing is left of it."""
        for file in self._files.values():
            with suppress(*TROUBLE):
                await file.abandon()

    @property
    def length(self) -> int:
        return self._at

    async def _do(self, step: Callable[[int], Awaitable[None]]) -> None:
        done = await _each(list(self._files), step, self.name)
        for drive in set(self._files) - set(done):
            with suppress(*TROUBLE):
                await self._files[drive].abandon()
        self._files = {drive: file for drive, file in self._files.items() if drive in done}
        await self._check()

    async def _check(self) -> None:
        if len(self._files) < self._enough:
            await self.abandon()
            raise QuorumNotMet(
                f"The journal needs {counted(self._enough, 'drive')}, {len(self._files)} took it."
            )


async def write(
    stores: Stores, drives: Sequence[int], name: JournalName, pieces: Iterable[Buffer]
) -> list[int]:
    """A whole file; the drives it is durable on."""
    writing = await Writing.begin(stores, drives, name)
    await writing.append(list(pieces))
    return await writing.publish()


async def listed(stores: Stores) -> dict[JournalName, set[int]]:
    """Every journal file of the drives that answer, and where it is."""

    async def names(drive: int) -> list[JournalName]:
        return [name async for name in stores[drive].journal_names()]

    found: dict[JournalName, set[int]] = {}
    for drive, listing in (await _each(list(stores), names, "list")).items():
        for name in listing:
            found.setdefault(name, set()).add(drive)
    return found


async def trash(stores: Stores, name: JournalName, drives: Iterable[int]) -> None:
    """Take a file away where it can be; what stays is found by the next listing."""
    for drive in drives:
        with suppress(*TROUBLE):
            await stores[drive].trash(name)


async def mend(stores: Stores, name: JournalName, held: set[int], wanted: Sequence[int]) -> bool:
    """Copy a file that has too few copies to drives that lack it, from one that verifies."""
    lacking = [drive for drive in wanted if drive not in held]
    lacking = lacking[: max(0, COPIES.width - len(held))]
    # What a drive that hangs cannot give would be held against the target.
    for source in sorted(held, key=lambda drive: (stores[drive].is_silent, drive)):
        for target in list(lacking):
            try:
                await _copy(stores[source], stores[target], name)
            except (ShardCorrupt, ShardMissing):
                break  # this source is no good: the next one
            except TROUBLE:
                pass
            lacking.remove(target)
        if not lacking:
            return True
    return not lacking


async def _copy(source: ShardStore, target: ShardStore, name: JournalName) -> None:
    reader = await source.open(name)
    try:
        file = await target.create(name, purpose="shard", size_bytes=reader.size)
        try:
            decoder, at, synced = Decoder(reader.size), 0, 0
            while piece := await reader.read(at, _PIECE):
                for _ in decoder.feed(piece):
                    pass
                is_time = at + len(piece) - synced >= SYNC_EVERY
                await file.write(at, [piece], sync=is_time)
                at += len(piece)
                synced = at if is_time else synced
            decoder.finish()
            await file.publish()
        except BaseException:
            with suppress(*TROUBLE):
                await file.abandon()
            raise
    finally:
        await reader.close()


async def _each(
    drives: Sequence[int], work: Callable[[int], Awaitable[Result]], what: object
) -> dict[int, Result]:
    """Do it for every drive at once; the results of those where it did not fail."""

    async def attempt(drive: int) -> tuple[int, Result] | None:
        try:
            return drive, await work(drive)
        except TROUBLE as why:
            said = {"drive": drive, "file": str(what), "why": str(why)}
            log.warning("the journal goes without a drive", extra=said)
            return None

    answers = await asyncio.gather(*(attempt(drive) for drive in drives))
    return dict(answer for answer in answers if answer is not None)
