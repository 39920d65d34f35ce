"""Segments at rest in a live store: which bytes of which shard belong to which object."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from storage_nodes.pack_format import RECORD_HEADER, record_length
from storage_nodes.policy import policy
from storage_nodes.striping import Striping

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Extent:
    """Where one object's bytes are."""

    offset: int
    record_size: int | None
    length: int

    @property
    def whole(self) -> Range:
        """What of the segment must verify for it."""
        size = self.record_size
        return self.offset, self.offset + (self.length if size is None else record_length(size))

    @property
    def read(self) -> Range:
        """What of the segment a GET touches: a record's header it does not need."""
        start, stop = self.whole
        return start + (0 if self.record_size is None else RECORD_HEADER), stop


@dataclass(slots=True)
class Segment:
    """A segment at rest, and which of its shards have been hurt."""

    id: UUID
    layout: str
    epoch: int
    drives: Sequence[int]
    size: int
    cell_size: int | None
    policy: str
    extents: list[Extent]
    hurt: set[int] = field(default_factory=set)

    @property
    def needed(self) -> int:
        return policy(self.policy).needed if self.layout == "coded" else 1

    @property
    def budget(self) -> int:
        """How many shards may still be hurt: no more than may be lost, and three."""
        return min(3, len(self.drives) - self.needed) - len(self.hurt)

    @property
    def payload(self) -> int:
        """Bytes of each shard's payload that matter."""
        if self.layout == "coded":
            return Striping(self.size, self.needed, self.cell_size or 0).shard_length
        return max(extent.whole[1] for extent in self.extents)

    def live(self, index: int) -> list[Range]:
        """Ranges of a shard's payload that a GET of every object reads."""
        if self.layout == "replicated":
            return [extent.read for extent in self.extents]
        striping = Striping(self.size, self.needed, self.cell_size or 0)
        return [
            (offset, offset + length)
            for extent in self.extents
            for at, offset, length in striping.pieces(*extent.read)
            if at == index
        ]

    def unhurt(self) -> list[int]:
        return [index for index in range(len(self.drives)) if index not in self.hurt]


EXTENTS = """
    SELECT '/' || b.name || '/' || v.key, s.id, s.layout, s.epoch, s.drives, s.size, s.cell_size,
           s.storage_policy, e."offset", e.record_size, e.length
      FROM version v JOIN bucket b ON b.id = v.bucket_id JOIN extent e ON e.version_id = v.id
      JOIN segment s ON s.id = e.segment_id ORDER BY 1, e.position
"""


def segments_of(paths: Collection[str], rows: Sequence[tuple[Any, ...]]) -> list[Segment]:
    """The segments these objects lie in, in their order, from the rows of `EXTENTS`."""
    found: dict[UUID, Segment] = {}
    for path, segment, *row, offset, record_size, length in rows:
        if path in paths:
            known = found.setdefault(segment, Segment(segment, *row, []))
            known.extents.append(Extent(offset, record_size, length))
    return list(found.values())
