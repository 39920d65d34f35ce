"""Several small pack segments become the content of one: records made anew for their new place.

Here: which records go where, and the address space that results. Not here: writing it (`encoder`),
the extents that must follow (`objects.rewrite`). Pure but for the bytes it is given.

Records are salted with segment and position, so each is verified where it was and signed where it
goes; what nobody names any more is left behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from core.errors import ShardCorrupt
from storage_nodes.copies import Copies, verifies
from storage_nodes.pack_format import RECORD_HEADER, SegmentRecords, aligned, record_length

# Where in a record's header the id of the version lies that it was written for.
_VERSION_ID = slice(24, 40)


@dataclass(slots=True)
class Moved:
    """Where each record was and is, element by element."""

    segments: list[UUID] = field(default_factory=list)
    before: list[int] = field(default_factory=list)
    after: list[int] = field(default_factory=list)


class Gathering:
    """The address space of one new segment, filled from others."""

    def __init__(self, target: UUID) -> None:
        self.target = target
        self.content = bytearray()
        self.moved = Moved()
        self._records = SegmentRecords(target)

    def take(self, source: Copies, space: bytearray) -> None:
        """Append every named record of a segment whose address space is `space`."""
        theirs = SegmentRecords(source.segment)
        view = memoryview(space)
        for position, length in sorted(source.records):
            if not verifies(theirs, space, position, length):
                raise ShardCorrupt("A record to be gathered does not verify.", position=position)
            body = position + RECORD_HEADER
            version_id = bytes(view[position:body][_VERSION_ID])
            place = self._append(version_id, view[body : body + length])
            self.moved.segments.append(source.segment)
            self.moved.before.append(position)
            self.moved.after.append(place)

    def _append(self, version_id: bytes, payload: memoryview) -> int:
        place = aligned(len(self.content))
        self.content += bytes(place - len(self.content))
        self.content += self._records.header(version_id, len(payload), place)
        self.content += payload
        self.content += self._records.table([payload], place)
        return place


def gathered_size(sources: Sequence[Copies]) -> int:
    """Upper bound of the address space they will need."""
    return sum(aligned(record_length(length)) for each in sources for _, length in each.records)
