"""What extents say about segments, asked and changed by background work; synchronous.

Here: which records of a segment are still named, whether any is, and the transactions that bury a
segment, swap its layout or move its extents. Not here: bytes (storage_nodes), when to do it
(workers).

Promise: each decision is made in `sql/rewrite.sql` under the segment's lock; false means the
segment is no longer what the caller read, and nothing was changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from core.failpoints import declare
from jobs import statements
from storage_nodes.copies import Record
from storage_nodes.gather import Moved
from storage_nodes.layouts import SegmentRow

SWAPPING = declare("encode.swapping", point="C12", doc="the new layout is in place, uncommitted")
MOVING = declare("gather.moving", point="C12", doc="the extents have moved, uncommitted")
BURYING = declare("collect.burying", point="C13", doc="a segment is dead, uncommitted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What extents name of one segment."""

    records: list[Record]
    has_raw: bool  # ranges outside of records


def named(segment_id: UUID) -> Named:
    """The records that versions or parts still name, each once, in the order of their place."""
    rows = statements.rows("SELECT * FROM named_records(%s)", segment_id)
    return Named(
        records=[(row[0], row[1]) for row in rows if row[1] is not None],
        has_raw=any(row[1] is None for row in rows),
    )


def unnamed(after: UUID, limit: int) -> tuple[UUID | None, list[UUID]]:
    """Of the next `limit` segments behind `after`: the last of them, and those no extent names."""
    rows = statements.rows(
        "SELECT s.id, EXISTS (SELECT FROM extent e WHERE e.segment_id = s.id)"
        " FROM (SELECT id FROM segment WHERE id > %s AND state IN ('sealed', 'stored')"
        " ORDER BY id LIMIT %s) AS s ORDER BY s.id",
        after,
        limit,
    )
    return (rows[-1][0] if rows else None), [row[0] for row in rows if not row[1]]


def bury(segment_id: UUID, grace_s: float) -> bool:
    """The segment is dead if no extent names it; its files follow after the grace."""
    with transaction.atomic():
        asked = "SELECT bury_unnamed(%s, make_interval(secs => %s))"
        buried = statements.one(asked, segment_id, grace_s)
        BURYING.hit()
    return bool(buried)


def swap_encoded(
    row: SegmentRow,
    *,
    epoch: int,
    drives: Sequence[int],
    cell_size: int,
    size: int,
    records: Sequence[Record],
    grace_s: float,
) -> bool:
    """The coded layout of [0, size), with these records, takes the place of the copies in `row`."""
    with transaction.atomic():
        swapped = statements.one(
            "SELECT swap_encoded(%s, %s, %s, %s, %s, %s, %s::bigint[], make_interval(secs => %s))",
            row.id,
            row.epoch,
            epoch,
            list(drives),
            cell_size,
            size,
            [position for position, _ in records],
            grace_s,
        )
        SWAPPING.hit()
    return bool(swapped)


def move(sources: Sequence[SegmentRow], target: UUID, moved: Moved, grace_s: float) -> bool:
    """Every extent of the sources now names the gathered segment; the sources are buried."""
    with transaction.atomic():
        done = statements.one(
            "SELECT move_extents(%s, %s, %s, %s, %s, %s, make_interval(secs => %s))",
            [row.id for row in sources],
            [row.epoch for row in sources],
            target,
            moved.segments,
            moved.before,
            moved.after,
            grace_s,
        )
        MOVING.hit()
    return bool(done)
