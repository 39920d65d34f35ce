"""Puts lost shards of a segment back, on other drives where that is possible.

Owed for a segment by a read that met damage, by a write that fell short, and for a whole drive
(`drive:N`) that is gone: then one repair is owed for each of its segments, the least redundant first.

A shard is written before any row names it, under an intent that `collect` would clean up after; the row
changes by compare-and-set. What was on the old drive is retired, never overwritten.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from core.config import config
from core.errors import StoreError
from core.failpoints import declare
from jobs.catalogue import REPAIR
from jobs.enqueue import enqueue
from jobs.step import NotYet, Step
from objects import rewrite
from storage_nodes import copies, layouts, placement, rebuild
from storage_nodes.copies import Copies
from storage_nodes.layouts import SegmentRow
from storage_nodes.policy import StoragePolicy, policy
from storage_nodes.rebuild import Coded
from storage_nodes.shard_file import ShardHeader
from storage_nodes.shard_name import ShardName
from workers.context import Context
from workers.registry import handles
from workers.storage import Storage, run, storage

DRIVE = "drive:"
PAGE = 500
# How long until a segment is looked at again that could not be made whole now.
AGAIN_AFTER_S = 15.0

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


@handles(REPAIR)
def repair(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
    """Make one segment whole, or owe that for every segment of a drive."""
    if subject.startswith(DRIVE):
        yield from _owe_drive(int(subject.removeprefix(DRIVE)), cursor)
        return
    row = layouts.segment(UUID(subject))
    if row is None or row.state not in ("sealed", "stored"):
        return
    yield from _mend(row, storage(), context)


def _owe_drive(drive: int, cursor: Any) -> Iterator[Step]:
    done, after = cursor or [0, str(UUID(int=0))]
    here = storage()
    lost = here.lost() | {drive}
    while rows := layouts.segments_on(drive, UUID(after), PAGE):
        with transaction.atomic():
            # Owed in the order of the subjects, as everybody does who owes several.
            for row in sorted(rows, key=lambda each: str(each.id)):
                enqueue(REPAIR, row.id, priority=_left(row, lost))
        done, after = done + len(rows), str(rows[-1].id)
        yield Step(done=done, cursor=[done, after])


def _left(row: SegmentRow, lost: set[int]) -> int:
    """How many more shards may be lost: the fewer, the earlier."""
    present = sum(1 for drive in row.drives if drive and drive not in lost)
    return present - (_policy(row).needed if row.layout == "coded" else 1)


def _mend(row: SegmentRow, here: Storage, context: Context) -> Iterator[Step]:
    health = run(examine(row, here))
    for index in health.good & layouts.known_damage(row).keys():
        layouts.mended(row, index, row.drives[index])
    if not health.broken:
        if health.unknown:
            raise NotYet(f"{len(health.unknown)} shards cannot be asked", after_s=AGAIN_AFTER_S)
        return
    CLAIMED.hit()
    targets = _targets(row, health, here)
    total = len(health.broken)
    if targets:
        yield Step(done=0, total=total)
        run(_restore(row, targets, here))
        COPIED.hit()
        context.check()
        for done, (index, drive) in enumerate(targets.items(), start=1):
            _settle(row, index, drive)
            yield Step(done=done, total=total)
        SWAPPED.hit()
    if len(targets) < total or health.unknown:
        raise NotYet(
            f"{total - len(targets)} of {total} shards wait for a drive", after_s=AGAIN_AFTER_S
        )


async def examine(row: SegmentRow, here: Storage) -> Health:
    """Ask every drive for its shard; those reported corrupt are read through."""
    known, lost, stores = layouts_damage(row), here.lost(), here.stores
    good, broken, unknown = set(), {}, set()
    for index, drive in enumerate(row.drives):
        if drive == 0 or drive in lost:
            broken[index] = "missing"
        elif drive not in stores:
            unknown.add(index)
        else:
            try:
                is_whole = await _is_whole(row, index, here, thoroughly=index in known)
            except (StoreError, OSError):
                unknown.add(index)
                continue
            if is_whole:
                good.add(index)
            else:
                broken[index] = known.get(index, "missing")
    return Health(frozenset(good), broken, frozenset(unknown))
