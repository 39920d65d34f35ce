"""A store to be verified: segments in rows and on drives in memory, their files, what hurts those.

Here: asking for verification, and having the work done that it owes. Not here: what it must find
(tests/unit/storage_nodes).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from core import config as configuration
from storage_nodes import layouts
from storage_nodes.verify import walk
from tests.support.drives import CLUSTER, MemoryStorage, ask, installed
from tests.support.work import perform
from workers import encode, repair


@dataclass
class Stock:
    """All segments there are, and the drives they are on."""

    drives: MemoryStorage

    def verify(self, progress: walk.Progress | None = None, **wanted: Any) -> walk.Result:
        cluster = walk.Cluster(
            id=CLUSTER, store=self.drives.everything.__getitem__, drives=tuple(range(1, 13))
        )
        return walk.verify(cluster, walk.Wanted(**wanted), progress)

    def mend(self, segment: UUID) -> None:
        perform(repair.repair, segment)

    def encode(self, segment: UUID) -> layouts.SegmentRow:
        perform(encode.encode, segment)
        return self.row(segment)

    def row(self, segment: UUID) -> layouts.SegmentRow:
        row = layouts.segment(segment)
        assert row is not None
        return row

    def file(self, row: layouts.SegmentRow, index: int) -> bytearray:
        return self.drives.file(row.drives[index], row.id, row.epoch, index)


@contextmanager
def stocked() -> Iterator[Stock]:
    """No segment yet; packs are coded however small they are, what they replace stays for now."""
    ask("DELETE FROM segment RETURNING id")
    ask("DELETE FROM retired_layout RETURNING id")
    with (
        installed() as drives,
        configuration.override(jobs={"grace_s": 3600.0}, packing={"seal_min_bytes": 1}),
    ):
        yield Stock(drives)


def flip(file: bytearray, place: int) -> None:
    """One bit is another."""
    file[place] ^= 4


def shorter(file: bytearray, by: int) -> None:
    """The last bytes are gone."""
    del file[-by:]
