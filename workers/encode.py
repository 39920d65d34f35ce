"""Turns sealed pack segments into coded ones; several small ones become one.

One attempt: read the copies, each record from the first that verifies; write k + m shards under an
epoch nobody else has; read them back; swap by compare-and-set. Until the swap nobody reads the new
files, after it nobody needs the old. A second attempt, beside or after a lost one, costs only time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from core import clock
from core.config import config
from core.errors import NotEnoughShards
from core.failpoints import declare
from core.names import new_id
from jobs.catalogue import ENCODE, REPAIR
from jobs.enqueue import enqueue
from jobs.step import NotYet, Step
from objects import rewrite
from storage_nodes import copies, encoder, layouts
from storage_nodes.coded_layout import CodedLayout
from storage_nodes.copies import Copies, Space
from storage_nodes.gather import Gathering, gathered_size
from storage_nodes.layouts import SegmentRow
from storage_nodes.placement import place
from storage_nodes.policy import StoragePolicy, policy
from workers.context import Context
from workers.named import copies_of
from workers.registry import handles
from workers.storage import Storage, run, storage

# How long the wait for drives is between two looks.
DRIVES_AFTER_S = 15.0
# How long until copies are looked at again of which too few could be read.
COPIES_AFTER_S = 60.0
# The oldest of several small segments gathers the others; they stand back for so long.
GATHERER_HAS_S = 120.0
STAND_BACK_S = 5.0
# An attempt was in vain because the segment is not what was read; the next reads it anew.
CHANGED = "the segment has changed meanwhile"
CHANGED_AFTER_S = 1.0
MOST_SOURCES = 64
UNREADABLE = "a record can be read from no copy of the segment"

CLAIMED = declare("encode.claimed", point="C12", doc="the job is claimed, nothing written")
VERIFIED = declare("encode.verified", point="C12", doc="every shard verified, layout not swapped")
SWAPPED = declare("encode.swapped", point="C12", doc="layout swapped, the job not finished")
GATHERED = declare("gather.verified", point="C12", doc="gathered and verified, extents not moved")


@handles(ENCODE)
def encode(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
    """Code one segment, alone or together with other small ones."""
    row = layouts.segment(UUID(subject))
    if row is None or row.state != "sealed" or row.layout != "replicated":
        return
    wanted = policy(row.policy)
    if wanted.layout != "coded":
        return
    CLAIMED.hit()
    here = storage()
    sources = _with_neighbours(row)
    if len(sources) > 1:
        yield from _gather(sources, wanted, here, context)
    else:
        yield from _code(row, wanted, here, context)


def _code(
    row: SegmentRow, wanted: StoragePolicy, here: Storage, context: Context
) -> Iterator[Step]:
    source = copies_of(row)
    if not source.records:
        return  # nobody names it: collect will bury it
    drives = _drives(row.id, wanted, here)
    space = _read(source, here)
    if space is None:
        raise NotYet(UNREADABLE, after_s=COPIES_AFTER_S)
    yield Step(done=1, total=3)
    epoch = layouts.begin_layout(row, drives)
    if epoch is None:
        raise NotYet(CHANGED, after_s=CHANGED_AFTER_S)
    cell_size = config().coding.cell_size
    layout = CodedLayout(
        cluster=here.cluster,
        segment=row.id,
        epoch=epoch,
        policy=wanted,
        cell_size=cell_size,
        size=source.size,
        drives=drives,
    )
    swapped = False
    try:
        run(encoder.write(layout, space.content, here.stores))
        VERIFIED.hit()
        yield Step(done=2, total=3)
        context.check()
        swapped = rewrite.swap_encoded(
            row,
            epoch=epoch,
            drives=drives,
            cell_size=cell_size,
            size=source.size,
            records=source.records,
            grace_s=config().jobs.grace_s,
        )
    finally:
        if not swapped:
            layouts.give_back(row.id, epoch)
    if not swapped:
        raise NotYet(CHANGED, after_s=CHANGED_AFTER_S)
    SWAPPED.hit()
    yield Step(done=3, total=3)


def _gather(
    rows: Sequence[SegmentRow], wanted: StoragePolicy, here: Storage, context: Context
) -> Iterator[Step]:
    target, owner = new_id(), f"job {context.job_id}"
    drives = _drives(target, wanted, here)
    gathering = Gathering(target)
    taken = []
    for done, row in enumerate(rows, start=1):
        source = copies_of(row)
        space = _read(source, here) if source.records else None
        if space is not None:
            gathering.take(source, space.content)
        elif source.records and row is rows[0]:
            raise NotYet(UNREADABLE, after_s=COPIES_AFTER_S)
        elif source.records:
            continue  # its own job waits for its copies; the others do not
        taken.append(row)
        yield Step(done=done, total=len(rows) + 2)
    if not gathering.content:
        return
    cell_size = config().coding.cell_size
    layouts.open_target(
        target,
        wanted.name,
        owner=owner,
        drives=drives,
        cell_size=cell_size,
        size=len(gathering.content),
    )
    layout = CodedLayout(
        cluster=here.cluster,
        segment=target,
        epoch=1,
        policy=wanted,
        cell_size=cell_size,
        size=len(gathering.content),
        drives=drives,
    )
    moved = False
    try:
        run(encoder.write(layout, gathering.content, here.stores))
        GATHERED.hit()
        yield Step(done=len(rows) + 1, total=len(rows) + 2)
        context.check()
        moved = rewrite.move(taken, target, gathering.moved, config().jobs.grace_s)
    finally:
        if not moved:
            layouts.give_up_target(target, owner)
    if not moved:
        raise NotYet(CHANGED, after_s=CHANGED_AFTER_S)
    yield Step(done=len(rows) + 2, total=len(rows) + 2)


def _read(source: Copies, here: Storage) -> Space | None:
    """The address space, or None while one of its records can be read from no copy: what of those
    lies in trash is repair's to bring back.
    """
    try:
        return run(copies.read(source, here.stores))
    except NotEnoughShards:
        enqueue(REPAIR, source.segment)
        return None


def _with_neighbours(row: SegmentRow) -> list[SegmentRow]:
    """The segment and the small ones to be gathered with it; itself alone if it is not small.

    Rivals would both be right and one of them in vain, so the oldest gathers and the others wait.
    """
    small = config().packing.seal_min_bytes
    if row.size >= small:
        return [row]
    neighbours = layouts.small_sealed(row.policy, small, MOST_SOURCES)
    if row.id not in {each.id for each in neighbours}:
        return [row]
    first = neighbours[0]
    if first.id != row.id and not _has_waited(first):
        raise NotYet(f"is gathered with {first.id}", after_s=STAND_BACK_S)
    chosen: list[SegmentRow] = []
    size = 0
    for each in [row, *(each for each in neighbours if each.id != row.id)]:
        size += gathered_size([copies_of(each)])
        if chosen and size > config().coding.segment_size:
            break
        chosen.append(each)
    return chosen


def _has_waited(row: SegmentRow) -> bool:
    since = row.sealed_at
    return since is not None and clock.now() - since > timedelta(seconds=GATHERER_HAS_S)


def _drives(segment_id: UUID, wanted: StoragePolicy, here: Storage) -> list[int]:
    drives = place(here.writable(), wanted, segment_id)
    if len(drives) < wanted.width:
        reason = (
            f"{wanted.name} needs {wanted.width} drives that take writes, there are {len(drives)}"
        )
        raise NotYet(reason, after_s=DRIVES_AFTER_S)
    return drives
