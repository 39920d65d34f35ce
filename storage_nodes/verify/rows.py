"""What a verification asks of the database, one question each; synchronous.

Here: segments in the order of their ids, what extents name of one, owing a repair. Not here: bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection

from storage_nodes.copies import Record

PAGE = 200

_COLUMNS = "id, storage_policy, layout, state, epoch, size, drives, cell_size, confirmed"
# What an upload is still writing is not committed yet; what is dead is on its way out.
_KEPT = "state IN ('open', 'sealed', 'stored')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One segment as its row was when it was read."""

    id: UUID
    policy: str
    layout: str
    state: str
    epoch: int
    size: int
    drives: tuple[int, ...]
    cell_size: int | None
    confirmed: tuple[int, ...] | None

    def is_where(self, other: "Kept") -> bool:
        """Is that the same layout on the same drives?"""
        return (self.epoch, self.layout, self.drives) == (other.epoch, other.layout, other.drives)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How many segments there are to verify, and which is the last: more come all the time."""

    count: int
    last: UUID
    writing: int


def extent(drive: int | None) -> Extent:
    """What there is at this moment; of one drive, if one is given."""
    rows = _ask(
        f"SELECT count(*) FILTER (WHERE {_KEPT}), max(id::text) FILTER (WHERE {_KEPT}),"
        " count(*) FILTER (WHERE state = 'writing') FROM segment"
        " WHERE %s::int IS NULL OR drives @> ARRAY[%s::int]",
        drive,
        drive,
    )
    count, last, writing = rows[0]
    return Extent(count=count, last=UUID(last) if last else UUID(int=0), writing=writing)


def segments(last: UUID, drive: int | None) -> Iterator[Kept]:
    """Every segment up to `last`; of one drive, if one is given. Read a page at a time."""
    after = UUID(int=0)
    while True:
        page = _ask(
            f"SELECT {_COLUMNS} FROM segment WHERE id > %s AND id <= %s AND {_KEPT}"
            " AND (%s::int IS NULL OR drives @> ARRAY[%s::int]) ORDER BY id LIMIT %s",
            after,
            last,
            drive,
            drive,
            PAGE,
        )
        for row in page:
            yield _kept(row)
        if len(page) < PAGE:
            return
        after = page[-1][0]


def segment(segment_id: UUID) -> Kept | None:
    """One segment; None when there is none that anybody reads."""
    rows = _ask(f"SELECT {_COLUMNS} FROM segment WHERE id = %s AND {_KEPT}", segment_id)
    return _kept(rows[0]) if rows else None


def named_records(segment_id: UUID) -> list[Record]:
    """The records extents name, each once, in the order of their positions."""
    return [
        (row[0], row[1])
        for row in _ask(
            'SELECT DISTINCT "offset", record_size FROM extent'
            " WHERE segment_id = %s AND record_size IS NOT NULL ORDER BY 1",
            segment_id,
        )
    ]


def owe_repair(segment_id: UUID, epoch: int, index: int, state: str) -> bool:
    """As when a read meets it. False: the segment has moved on, or its owner still appends."""
    rows = _ask("SELECT segment_noticed(%s, %s, %s, %s)", segment_id, epoch, index, state)
    return bool(rows[0][0])


def _kept(row: tuple[Any, ...]) -> Kept:
    return Kept(
        id=row[0],
        policy=row[1],
        layout=row[2],
        state=row[3],
        epoch=row[4],
        size=row[5],
        drives=tuple(row[6]),
        cell_size=row[7],
        confirmed=None if row[8] is None else tuple(row[8]),
    )


def _ask(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())
