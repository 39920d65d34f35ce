"""Pack segments laid out by hand: records in an address space, and the copies that hold it.

Here: bytes as a pack writes them. Not here: drives and rows (`tests.support.drives`).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from core.names import new_id
from storage_nodes.copies import Copies, end_of
from storage_nodes.pack_format import SegmentRecords, aligned
from storage_nodes.shard_file import ShardHeader
from storage_nodes.shard_name import ShardName

COPIES = 3


@dataclass(frozen=True, kw_only=True)
class Laid:
    """A version's bytes, and where their record begins."""

    version: UUID
    place: int
    payload: bytes


@dataclass(frozen=True, kw_only=True)
class Packed:
    """The records of a segment, and its address space."""

    cluster: UUID
    segment: UUID
    records: list[Laid]
    space: bytes

    def name(self, copy: int) -> ShardName:
        return ShardName(self.segment, 1, copy)

    def header(self, copy: int) -> ShardHeader:
        return ShardHeader(
            cluster=self.cluster,
            name=self.name(copy),
            layout="replicated",
            needed=1,
            parity=COPIES - 1,
            cell_size=0,
        )

    @property
    def copies(self) -> Copies:
        """On drives 1, 2 and 3."""
        records = [(one.place, len(one.payload)) for one in self.records]
        return Copies(
            segment=self.segment,
            epoch=1,
            drives=list(range(1, COPIES + 1)),
            size=end_of(records),
            records=records,
        )

    def file(self, copy: int) -> bytes:
        """A whole copy."""
        return self.header(copy).pack() + self.space


def packed(cluster: UUID, payloads: Iterable[tuple[UUID, bytes]]) -> Packed:
    """A segment with these versions' bytes, one record after the other."""
    segment = new_id()
    written, space, laid = SegmentRecords(segment), bytearray(), []
    for version, payload in payloads:
        place = aligned(len(space))
        space += bytes(place - len(space))
        space += written.header(version.bytes, len(payload), place) + payload
        space += written.table([payload], place)
        laid.append(Laid(version=version, place=place, payload=payload))
    return Packed(cluster=cluster, segment=segment, records=laid, space=bytes(space))


def random_payloads(lengths: Sequence[int], seed: int) -> list[tuple[UUID, bytes]]:
    """Bytes of new versions, the same for the same seed."""
    chance = random.Random(seed)
    return [(new_id(), chance.randbytes(length)) for length in lengths]
