"""Orphans: shard files on a drive that no row names, neither a segment nor a retired layout.

One statement looks at both, in one snapshot: a file moves from its intent to its segment in one
transaction, so it cannot slip through between two looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import connection

# Segment, epoch, index.
File = tuple[UUID, int, int]

_ORPHANS = """
    FROM unnest(%(segments)s::uuid[], %(epochs)s::int[], %(indexes)s::int[])
        AS f (segment, epoch, index)
    LEFT JOIN segment s ON s.id = f.segment AND s.epoch = f.epoch
    WHERE s.drives[f.index + 1] IS DISTINCT FROM %(drive)s AND NOT EXISTS (
        SELECT FROM retired_layout r WHERE r.segment_id = f.segment AND r.epoch = f.epoch
        AND r.drives[f.index + 1] = %(drive)s)
"""
_LIST = f"SELECT f.segment, f.epoch, f.index {_ORPHANS}"
_RETIRE = f"""
INSERT INTO retired_layout (segment_id, epoch, drives, layout, not_before)
SELECT f.segment, f.epoch,
       only_drive(coalesce(cardinality(s.drives), f.index + 1), f.index, %(drive)s),
       coalesce(s.layout, 'coded'), clock_timestamp() {_ORPHANS}
    ON CONFLICT (segment_id, epoch, drives) DO NOTHING RETURNING segment_id, epoch, drives
"""


def among(drive: int, files: Sequence[File]) -> list[File]:
    """Those of a drive's files that are orphans now."""
    return _ask(_LIST, drive, files)


def retire(drive: int, files: Sequence[File]) -> int:
    """Retire those of a drive's files that are orphans, due at once; how many.

    From here on no repair adopts such a file: an intent for it finds this row, as this finds an
    intent.
    """
    return len(_ask(_RETIRE, drive, files))


def _ask(statement: str, drive: int, files: Sequence[File]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(
            statement,
            {
                "drive": drive,
                "segments": [segment for segment, _, _ in files],
                "epochs": [epoch for _, epoch, _ in files],
                "indexes": [index for _, _, index in files],
            },
        )
        found: list[Any] = cursor.fetchall()
    return found
