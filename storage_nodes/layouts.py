"""The rows of segments as background work asks and changes them; synchronous, one question each.

Here: what a segment looks like, new layouts, moved shards, retired files. Not here: bytes, extents.
Every change is a compare-and-set in a SQL function (`sql/rewrites.sql`); false means the segment is
no longer what the caller read, and nothing was changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from core import metrics
from jobs import statements

# Longer than any attempt lives: the broker's workers end a task after 7,000 s at most.
INTENT_S = 7200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRow:
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
    sealed_at: datetime | None
    successor: UUID | None

    def is_where(self, other: "SegmentRow") -> bool:
        """Is that the same layout on the same drives?"""
        return (self.epoch, self.layout, self.drives) == (other.epoch, other.layout, other.drives)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetiredRow:
    """Files that a segment does not name any more, or never did."""

    id: int
    segment: UUID
    epoch: int
    width: int


_COLUMNS = (
    "id, storage_policy, layout, state, epoch, size, drives, cell_size, confirmed, sealed_at,"
    " successor"
)


def segment(segment_id: UUID) -> SegmentRow | None:
    found = segments("id = %s", segment_id)
    return found[0] if found else None


def successor(segment_id: UUID) -> SegmentRow | None:
    """The segment that has the bytes of this one now: itself, unless it was gathered into another.

    None or a dead one: nobody has them, because nothing names them any more.
    """
    now = segment(segment_id)
    while now is not None and now.state == "dead" and now.successor is not None:
        now = segment(now.successor)
    return now


def segments(condition: str, *params: Any) -> list[SegmentRow]:
    """The segments for which an SQL condition holds; it may go on with an order and a limit."""
    rows = statements.rows(f"SELECT {_COLUMNS} FROM segment WHERE {condition}", *params)
    return [_segment(row) for row in rows]


def small_sealed(policy: str, below_bytes: int, limit: int) -> list[SegmentRow]:
    """Sealed pack segments of this policy that wait to be coded and are small, oldest first."""
    return segments(
        "state = 'sealed' AND layout = 'replicated' AND storage_policy = %s AND size < %s"
        " ORDER BY id LIMIT %s",
        policy,
        below_bytes,
        limit,
    )


def leases_run_out(limit: int) -> list[tuple[UUID, int]]:
    """Open segments whose owner has not renewed its lease: id and epoch."""
    return [
        (row[0], row[1])
        for row in statements.rows(
            "SELECT id, epoch FROM segment WHERE state = 'open' AND lease_until < clock_timestamp()"
            " ORDER BY id LIMIT %s",
            limit,
        )
    ]


def seal(segment_id: UUID, epoch: int) -> bool:
    """Close an open segment to commits, whoever owned it; encode is owed with it."""
    is_sealed = statements.one("SELECT segment_seal(%s, %s, NULL, NULL, NULL)", segment_id, epoch)
    if is_sealed:
        metrics.segments_sealed.add(("lease",))
    return bool(is_sealed)


def begin_layout(row: SegmentRow, drives: Sequence[int]) -> int | None:
    """The epoch of a new layout, its files owed to collect until `swap_layout` takes them over."""
    epoch = statements.one(
        "SELECT layout_begin(%s, %s, %s, make_interval(secs => %s))",
        row.id,
        row.epoch,
        list(drives),
        INTENT_S,
    )
    return None if epoch is None else int(epoch)


def give_back(segment_id: UUID, epoch: int) -> None:
    """The attempt at this layout has failed: its files may be collected at once."""
    statements.rows(
        "UPDATE retired_layout SET not_before = clock_timestamp() WHERE segment_id = %s"
        " AND epoch = %s AND trashed_at IS NULL AND NOT EXISTS (SELECT FROM segment s"
        " WHERE s.id = segment_id AND s.epoch = retired_layout.epoch) RETURNING id",
        segment_id,
        epoch,
    )


def open_target(
    segment_id: UUID,
    policy: str,
    *,
    owner: str,
    drives: Sequence[int],
    cell_size: int,
    size: int,
) -> None:
    """A coded segment that small ones are gathered into; dead by itself if nobody finishes it."""
    statements.rows(
        "INSERT INTO segment (id, storage_policy, layout, state, epoch, owner, lease_until, drives,"
        " cell_size, size) VALUES (%s, %s, 'coded', 'writing', 1, %s,"
        " clock_timestamp() + make_interval(secs => %s), %s, %s, %s) RETURNING id",
        segment_id,
        policy,
        owner,
        INTENT_S,
        list(drives),
        cell_size,
        size,
    )


def give_up_target(segment_id: UUID, owner: str) -> None:
    """Nobody will finish this segment."""
    statements.rows(
        "UPDATE segment SET state = 'dead', owner = NULL, lease_until = NULL, changed = now()"
        " WHERE id = %s AND owner = %s AND state = 'writing' RETURNING id",
        segment_id,
        owner,
    )


def known_damage(row: SegmentRow) -> dict[int, str]:
    """Shards of this layout that somebody found missing or corrupt: index -> which."""
    found = statements.rows(
        "SELECT index, state FROM segment_shard WHERE segment_id = %s AND epoch = %s",
        row.id,
        row.epoch,
    )
    return {index: state for index, state in found if index < len(row.drives)}


def noticed(row: SegmentRow, index: int, state: str) -> bool:
    """A shard was found missing or corrupt: its repair is owed."""
    is_owed = statements.one(
        "SELECT segment_noticed(%s, %s, %s, %s)", row.id, row.epoch, index, state
    )
    if is_owed:
        metrics.shards_noticed.add((state,))
    return bool(is_owed)


def begin_shard(row: SegmentRow, index: int, drive: int) -> bool:
    """The intent to write one shard onto a drive that holds none of this segment."""
    return bool(
        statements.one(
            "SELECT shard_begin(%s, %s, %s, %s, make_interval(secs => %s))",
            row.id,
            row.epoch,
            index,
            drive,
            INTENT_S,
        )
    )


def swap_shard(row: SegmentRow, index: int, *, old: int, new: int, grace_s: float) -> bool:
    """The shard is on `new` from now on; what lies on `old` is retired."""
    return bool(
        statements.one(
            "SELECT shard_swap(%s, %s, %s, %s, %s, make_interval(secs => %s))",
            row.id,
            row.epoch,
            index,
            old,
            new,
            grace_s,
        )
    )


def mended(row: SegmentRow, index: int, drive: int) -> bool:
    """The shard is in order where the row says it is."""
    asked = "SELECT shard_mended(%s, %s, %s, %s)"
    return bool(statements.one(asked, row.id, row.epoch, index, drive))


def bury_abandoned(limit: int, grace_s: float) -> int:
    """Writers' own segments whose lease ran out, and those given up, are on their way out."""
    given_up = statements.rows(
        "SELECT bury(id, make_interval(secs => %s)) FROM (SELECT id FROM segment s"
        " WHERE state = 'dead' AND NOT EXISTS (SELECT FROM retired_layout r"
        " WHERE r.segment_id = s.id AND r.epoch = s.epoch) ORDER BY id LIMIT %s) AS abandoned",
        grace_s,
        limit,
    )
    expired = statements.one("SELECT bury_abandoned(%s, make_interval(secs => %s))", limit, grace_s)
    return len(given_up) + int(expired)


def retired_due(limit: int, after: int = 0) -> list[RetiredRow]:
    """Rows whose grace is over and whose files have not been trashed."""
    return [
        RetiredRow(id=row[0], segment=row[1], epoch=row[2], width=row[3])
        for row in statements.rows(
            "SELECT id, segment_id, epoch, cardinality(drives) FROM retired_layout"
            " WHERE trashed_at IS NULL AND not_before <= clock_timestamp() AND id > %s"
            " ORDER BY id LIMIT %s",
            after,
            limit,
        )
    ]


def claim_retired(row: RetiredRow) -> list[int]:
    """Drives by index that may be cleared of the row's files now; 0 where nothing is to be done."""
    return list(statements.one("SELECT retired_claim(%s)", row.id) or [])


def trashed(row: RetiredRow) -> None:
    """Every file of the row lies in trash."""
    statements.rows(
        "UPDATE retired_layout SET trashed_at = clock_timestamp()"
        " WHERE id = %s AND not_before <= clock_timestamp() RETURNING id",
        row.id,
    )


def put_off(row: RetiredRow, after_s: float) -> None:
    """Look at the row again later."""
    statements.rows(
        "UPDATE retired_layout SET not_before = clock_timestamp() + make_interval(secs => %s)"
        " WHERE id = %s AND trashed_at IS NULL RETURNING id",
        after_s,
        row.id,
    )


def forget(older_than_s: float, limit: int) -> int:
    """Delete rows of what has been unlinked by now; how many."""
    gone = statements.rows(
        "DELETE FROM retired_layout WHERE id IN (SELECT id FROM retired_layout"
        " WHERE trashed_at < clock_timestamp() - make_interval(secs => %s) LIMIT %s)"
        " RETURNING segment_id, epoch",
        older_than_s,
        limit,
    )
    statements.rows(
        "DELETE FROM segment s WHERE state = 'dead' AND s.id = ANY (%s) AND NOT EXISTS"
        " (SELECT FROM retired_layout r WHERE r.segment_id = s.id) RETURNING id",
        [row[0] for row in gone],
    )
    return len(gone)


def owe_forgotten_encodes(after_s: float, limit: int) -> int:
    """Sealed segments that should be coded and whose coding nobody owes: owe it. How many."""
    return len(
        statements.rows(
            "SELECT owe('encode', forgotten.id::text) FROM (SELECT s.id FROM segment s"
            " WHERE s.state = 'sealed' AND s.layout = 'replicated'"
            " AND s.storage_policy LIKE 'ec-%%'"
            " AND s.sealed_at < clock_timestamp() - make_interval(secs => %s) AND NOT EXISTS"
            " (SELECT FROM job j WHERE j.family = 'encode' AND j.key = s.id::text)"
            " ORDER BY s.id LIMIT %s) AS forgotten",
            after_s,
            limit,
        )
    )


def _segment(row: tuple[Any, ...]) -> SegmentRow:
    return SegmentRow(
        id=row[0],
        policy=row[1],
        layout=row[2],
        state=row[3],
        epoch=row[4],
        size=row[5],
        drives=tuple(row[6]),
        cell_size=row[7],
        confirmed=None if row[8] is None else tuple(row[8]),
        sealed_at=row[9],
        successor=row[10],
    )
