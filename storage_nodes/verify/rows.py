"""What a verification asks of the database, one question each; synchronous.

Here: how much there is, segments in the order of their ids, what extents name of one. Not here: a
segment's row and owing its repair (`layouts`), bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from jobs import statements
from storage_nodes import layouts
from storage_nodes.copies import Record
from storage_nodes.layouts import SegmentRow

PAGE = 200

# What an upload is still writing is not committed yet; what is dead is on its way out.
_KEPT = "state IN ('open', 'sealed', 'stored')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """How many segments there are to verify, and which is the last: more come all the time."""

    count: int
    last: UUID
    writing: int


def scope(drive: int | None) -> Scope:
    """What there is at this moment; of one drive, if one is given."""
    rows = statements.rows(
        f"SELECT count(*) FILTER (WHERE {_KEPT}), max(id::text) FILTER (WHERE {_KEPT}),"
        " count(*) FILTER (WHERE state = 'writing') FROM segment"
        " WHERE %s::int IS NULL OR drives @> ARRAY[%s::int]",
        drive,
        drive,
    )
    count, last, writing = rows[0]
    return Scope(count=count, last=UUID(last) if last else UUID(int=0), writing=writing)


def segments(last: UUID, drive: int | None) -> Iterator[SegmentRow]:
    """Every segment up to `last`; of one drive, if one is given. Read a page at a time."""
    after = UUID(int=0)
    while True:
        page = layouts.segments(
            f"id > %s AND id <= %s AND {_KEPT}"
            " AND (%s::int IS NULL OR drives @> ARRAY[%s::int]) ORDER BY id LIMIT %s",
            after,
            last,
            drive,
            drive,
            PAGE,
        )
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].id


def segment(segment_id: UUID) -> SegmentRow | None:
    """One segment; None when there is none that anybody reads."""
    found = layouts.segments(f"id = %s AND {_KEPT}", segment_id)
    return found[0] if found else None


def named_records(segment_id: UUID) -> list[Record]:
    """The records extents name, each once, in the order of their positions."""
    return [
        (row[0], row[1])
        for row in statements.rows("SELECT * FROM named_records(%s)", segment_id)
        if row[1] is not None
    ]
