"""Puts lost shards of a segment back, on other drives where that is possible.

Owed for a segment by a read that met damage, by a write that fell short, and by the health loop
for every segment of a drive that is gone, the least redundant first.

A shard is written before any row names it, under an intent that `collect` would clean up after;
the row changes by compare-and-set. What was on the old drive is retired, never overwritten.

A shard that lies in its drive's trash while the row names it there is taken out before it is called
missing, and counts once it has been read through.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from core.config import config
from core.errors import NotEnoughShards, StoreError
from core.failpoints import declare
from core.wording import counted
from jobs.catalogue import REPAIR
from jobs.step import NotYet, Step
from storage_nodes import copies, layouts, placement, rebuild, returning
from storage_nodes.coded_layout import CodedLayout
from storage_nodes.copies import Copies
from storage_nodes.layouts import SegmentRow
from storage_nodes.policy import policy
from storage_nodes.shard_file import ShardHeader
from storage_nodes.shard_name import ShardName
from storage_nodes.stores.base import ShardStore
from workers.context import Context
from workers.named import copies_of
from workers.registry import handles
from workers.storage import Storage, run, storage

# How long until a segment is looked at again that could not be made whole now.
AGAIN_AFTER_S = 15.0
# It is not what was read, and is read anew.
CHANGED = "the segment has changed meanwhile"
CHANGED_AFTER_S = 1.0
UNREADABLE = "a record can be read from no copy of the segment"

CLAIMED = declare("repair.claimed", point="C14", doc="a lost shard is known, nothing written")
COPIED = declare(
    "repair.copied", point="C14", doc="the shard is published, the row still names none"
)
SWAPPED = declare("repair.swapped", point="C14", doc="the row names the new shard")


@dataclass(frozen=True, slots=True)
class Health:
    """Which shards of a segment are in order, which are not, and which could not be asked."""

    good: frozenset[int]
    broken: dict[int, str]
    unknown: frozenset[int]
    trashed: frozenset[int]  # the broken ones that lie in trash


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of an attempt."""

    indexes: list[int]  # shards that are there now
    others: dict[int, str]  # found bad on the way


@handles(REPAIR)
def repair(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
    """Make one segment whole."""
    row = layouts.segment(UUID(subject))
    if row is None or row.state not in ("sealed", "stored"):
        return
    yield from _mend(row, storage(), context)


def _mend(row: SegmentRow, here: Storage, context: Context) -> Iterator[Step]:
    shards = _shards(row, here)
    health = run(examine(shards, here, layouts.known_damage(row)))
    if health.trashed:
        _take_back(row, health.trashed, here)
        yield Step(done=0, total=len(health.broken))
        health = run(examine(shards, here, layouts.known_damage(row)))
    for index in health.good & layouts.known_damage(row).keys():
        layouts.mended(row, index, row.drives[index])
    total = len(health.broken)
    if total:
        CLAIMED.hit()
    targets = _targets(row, health.broken, here)
    if targets:
        yield Step(done=0, total=total)
        try:
            restored = run(_restore(shards, targets, here))
        except NotEnoughShards as why:
            # Nothing was changed; what is lost may come back, with its drive or its node.
            raise NotYet(why.message, after_s=AGAIN_AFTER_S) from why
        for index, state in restored.others.items():
            layouts.noticed(row, index, state)
        COPIED.hit()
        context.check()
        for done, index in enumerate(restored.indexes, start=1):
            _settle(row, index, targets[index])
            yield Step(done=done, total=total)
        SWAPPED.hit()
        if len(restored.indexes) < len(targets):
            raise NotYet(UNREADABLE, after_s=AGAIN_AFTER_S)
    if health.unknown:
        silent = f"{counted(len(health.unknown), 'shard')} out of reach"
        raise NotYet(silent, after_s=AGAIN_AFTER_S)
    if len(targets) < total:
        waiting = f"{counted(total - len(targets), 'shard')} waiting for a drive"
        raise NotYet(waiting, after_s=AGAIN_AFTER_S)


def _shards(row: SegmentRow, here: Storage) -> CodedLayout | Copies:
    """The layout of the row, as whoever restores it wants it described."""
    if row.layout == "coded":
        return CodedLayout(
            cluster=here.cluster,
            segment=row.id,
            epoch=row.epoch,
            policy=policy(row.policy),
            cell_size=row.cell_size or 0,
            size=row.size,
            drives=row.drives,
        )
    return copies_of(row)


async def examine(
    shards: CodedLayout | Copies,
    here: Storage,
    known: Mapping[int, str],
    *,
    thoroughly: bool = False,
) -> Health:
    """Ask every drive for its shard. Those `known` to be bad are read through, the others only
    looked for, unless asked to be thorough.
    """
    stores = here.stores
    good: set[int] = set()
    broken: dict[int, str] = {}
    unknown: set[int] = set()
    trashed: set[int] = set()
    for index, drive in enumerate(shards.drives):
        if drive == 0 or here.is_lost(drive):
            broken[index] = "missing"
            continue
        try:
            found = await stores[drive].stat(_name(shards, index))
            if found is None or found.trashed:
                broken[index] = "missing"
                if found is not None:
                    trashed.add(index)
            elif (thoroughly or index in known) and not await is_whole(
                shards, index, stores[drive]
            ):
                broken[index] = known.get(index, "corrupt")
            else:
                good.add(index)
        except (StoreError, OSError, KeyError):
            unknown.add(index)
    return Health(frozenset(good), broken, frozenset(unknown), frozenset(trashed))


async def is_whole(shards: CodedLayout | Copies, index: int, store: ShardStore) -> bool:
    """Does the shard verify on that drive, every block of it?"""
    if isinstance(shards, CodedLayout):
        return await rebuild.is_whole(shards, index, store)
    return await rebuild.copy_is_whole(shards, _name(shards, index), store)


def _take_back(row: SegmentRow, trashed: Collection[int], here: Storage) -> None:
    """Take these shards out of trash, as long as the row names them where they are.

    One that its drive does not give back now is still there afterwards, and missing like any other.
    """
    named = [index for index in trashed if returning.begin(row, index)]
    run(returning.take_out(row, named, here.stores))
    still_named = [index for index in named if returning.end(row, index)]
    if len(still_named) < len(trashed):
        raise NotYet(CHANGED, after_s=CHANGED_AFTER_S)


def _targets(row: SegmentRow, broken: Iterable[int], here: Storage) -> dict[int, int]:
    """Where each broken shard goes: another drive, or its own again when there is no other.

    What a crash would leave on another drive is owed to collect from here on; a drive that is still
    to be cleared of the same shard is passed over.
    """
    candidates = here.writable()
    wanted = policy(row.policy) if row.layout == "coded" else policy(row.policy).staged()
    taken = {drive for drive in row.drives if drive}
    fresh = iter(placement.replace(candidates, wanted, row.id, keep=taken, count=len(candidates)))
    takes_writes = {drive.id for drive in candidates}
    targets = {}
    for index in sorted(broken):
        drive = next((d for d in fresh if layouts.begin_shard(row, index, d)), row.drives[index])
        if drive in takes_writes:
            targets[index] = drive
    return targets


async def _restore(
    shards: CodedLayout | Copies, targets: Mapping[int, int], here: Storage
) -> Restored:
    """Write the shards.

    What a former attempt left under the name is used when it is whole; otherwise it keeps the name
    until its whole and durable successor takes that over.
    """
    stores = here.stores
    wanted: dict[int, int] = {}
    in_the_way: set[int] = set()
    for index, drive in targets.items():
        if await stores[drive].stat(_name(shards, index)) is not None:
            if await is_whole(shards, index, stores[drive]):
                continue
            in_the_way.add(index)
        wanted[index] = drive
    if not wanted:
        return Restored(list(targets), {})
    if isinstance(shards, CodedLayout):
        others = await rebuild.restore(shards, wanted, stores, in_the_way=in_the_way)
        return Restored(list(targets), others)
    return await _restore_copies(shards, targets, wanted, in_the_way, here)


async def _restore_copies(
    shards: Copies,
    targets: Mapping[int, int],
    wanted: Mapping[int, int],
    in_the_way: Collection[int],
    here: Storage,
) -> Restored:
    """Write the wanted copies.

    While a record verifies nowhere, a copy is made with all the others, a segment has thousands, if
    the one it replaces can never come back. Any other may have that record when it does.
    """
    stores = here.stores
    space = await copies.read(shards, stores, takes_losses=True)
    done = list(targets)
    if space.lost:
        final = {index for index in wanted if await _is_lost_for_good(shards, index, here)}
        done = [index for index in targets if index in final or index not in wanted]
        wanted = {index: drive for index, drive in wanted.items() if index in final}
        lost = set(space.lost)
        shards = replace(shards, records=[one for one in shards.records if one not in lost])
    for index, drive in wanted.items():
        header = ShardHeader(
            cluster=here.cluster,
            name=_name(shards, index),
            layout="replicated",
            needed=1,
            parity=len(shards.drives) - 1,
            cell_size=0,
        )
        await rebuild.restore_copy(
            shards, space.content, header, stores[drive], is_in_the_way=index in in_the_way
        )
    return Restored(done, dict.fromkeys(space.damaged - wanted.keys(), "corrupt"))


async def _is_lost_for_good(shards: Copies, index: int, here: Storage) -> bool:
    """Whether nobody will ever read this copy again: a drive that is gone may come back."""
    drive = shards.drives[index]
    if drive == 0 or here.is_removed(drive):
        return True
    try:
        return await here.stores[drive].stat(_name(shards, index)) is None
    except (StoreError, OSError, KeyError):
        return False


def _settle(row: SegmentRow, index: int, drive: int) -> None:
    """The row follows; if it has changed meanwhile, everything is looked at anew."""
    old = row.drives[index]
    done = (
        layouts.mended(row, index, drive)
        if drive == old
        else layouts.swap_shard(row, index, old=old, new=drive, grace_s=config().jobs.grace_s)
    )
    if not done:
        raise NotYet(CHANGED, after_s=CHANGED_AFTER_S)


def _name(shards: CodedLayout | Copies, index: int) -> ShardName:
    return ShardName(shards.segment, shards.epoch, index)
