"""What the extents of a replicated segment say of its copies: its records, and where it ends."""

from __future__ import annotations

from jobs.step import GiveUp
from objects import rewrite
from storage_nodes import copies
from storage_nodes.copies import Copies
from storage_nodes.layouts import SegmentRow


def copies_of(row: SegmentRow) -> Copies:
    """The copies of this segment; GiveUp when extents name bytes that no record verifies."""
    named = rewrite.named(row.id)
    if named.has_raw:
        raise GiveUp("the segment holds bytes outside of records")
    return Copies(
        segment=row.id,
        epoch=row.epoch,
        drives=row.drives,
        size=copies.end_of(named.records),
        records=named.records,
    )
