"""Extents as plain rows: which bytes of a version lie where. Pure.

Here: cutting a range out of extents that follow one another, for copies that share bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

# segment, offset, record_size (None: raw bytes), skip, length
ExtentRow = tuple[UUID, int, int | None, int, int]


def cut(extents: Iterable[ExtentRow], start: int, stop: int) -> list[ExtentRow]:
    """The extents of the bytes [start, stop) of what these extents hold."""
    kept: list[ExtentRow] = []
    base = 0
    for segment, offset, record_size, skip, length in extents:
        first = max(start - base, 0)
        last = min(stop - base, length)
        if first < last:
            if record_size is None:
                kept.append((segment, offset + first, None, 0, last - first))
            else:
                kept.append((segment, offset, record_size, skip + first, last - first))
        base += length
    return kept
