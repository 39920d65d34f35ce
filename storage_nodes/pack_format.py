"""Records of pack segments (docs/formats/pack-segment.md): made, verified, found.

Here: bytes to values and back. Not here: who appends (`pack`), who reads (`reader`).
Positions count in the segment's address space, which survives coding.

The functions called per small object build no objects they do not return.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from crc32c import crc32c

from core.errors import BadFormat, ShardCorrupt
from storage_nodes.striping import BLOCK

Buffer = bytes | bytearray | memoryview

MAGIC = b"OREC"
VERSION = 1
RECORD_HEADER = 64
ALIGNMENT = 8
GROUP_ALIGNMENT = 4096

_HEAD = struct.Struct("<4sHH16s16sQQ4x")
_CRC = struct.Struct("<I")
_PLACE = struct.Struct("<QI")


def record_length(payload_length: int) -> int:
    """Bytes of a whole record."""
    return RECORD_HEADER + payload_length + table_length(payload_length)


def table_length(payload_length: int) -> int:
    return 4 * ((payload_length + BLOCK - 1) // BLOCK)


def aligned(position: int, alignment: int = ALIGNMENT) -> int:
    """The next place a record (or a group) may start."""
    return (position + alignment - 1) // alignment * alignment


class SegmentRecords:
    """Makes and verifies records of one segment; holds the part of the salt they share."""

    __slots__ = ("_id", "_salt")

    def __init__(self, segment: UUID) -> None:
        self._id = segment.bytes
        self._salt: int = crc32c(self._id)

    def header(self, version_id: bytes, length: int, position: int) -> bytes:
        """The 64 bytes before a payload."""
        head = _HEAD.pack(MAGIC, VERSION, 0, self._id, version_id, length, position)
        return head + _CRC.pack(crc32c(head))

    def table(self, payload: Sequence[Buffer], position: int) -> bytes:
        """The checksums behind a payload given as consecutive pieces."""
        if len(payload) == 1 and len(payload[0]) <= BLOCK:
            piece = payload[0]
            return self.checksum(piece, 0, position) if len(piece) else b""
        sums = RecordSums(self._salt, position)
        for each in payload:
            sums.update(each)
        return sums.finish()

    def checksum(self, block: Buffer, number: int, position: int) -> bytes:
        """One table entry."""
        return _CRC.pack(crc32c(block, crc32c(_PLACE.pack(position, number), self._salt)))

    def sums(self, position: int) -> "RecordSums":
        """For a payload that comes piece by piece."""
        return RecordSums(self._salt, position)

    def verify_header(self, header: Buffer, length: int, position: int) -> bool:
        """Is this the header of the record of that length at that position?"""
        if len(header) != RECORD_HEADER or crc32c(header[:60]) != _CRC.unpack_from(header, 60)[0]:
            return False
        magic, version, flags, segment, _, real_length, real_position = _HEAD.unpack_from(header)
        if version != VERSION or flags:
            raise BadFormat("The record is of a newer format.", version=version, flags=flags)
        told: tuple[object, ...] = (magic, segment, real_length, real_position)
        return told == (MAGIC, self._id, length, position)

    def verify_blocks(self, blocks: Buffer, first: int, table: Buffer, position: int) -> bool:
        """Do consecutive blocks match their table entries? `table` starts with that of `first`."""
        salt = self._salt
        if len(blocks) <= BLOCK:
            expected = _CRC.unpack_from(table)[0] if len(blocks) else 0
            return not len(blocks) or bool(
                crc32c(blocks, crc32c(_PLACE.pack(position, first), salt)) == expected
            )
        view = memoryview(blocks)
        for number, start in enumerate(range(0, len(view), BLOCK)):
            initial = crc32c(_PLACE.pack(position, first + number), salt)
            block = view[start : start + BLOCK]
            if crc32c(block, initial) != _CRC.unpack_from(table, 4 * number)[0]:
                return False
        return True


class RecordSums:
    """The table of one record, gathered piece by piece."""

    __slots__ = ("_block", "_filled", "_position", "_salt", "_table")

    def __init__(self, segment_salt: int, position: int) -> None:
        self._salt = segment_salt
        self._position = position
        self._table = bytearray()
        self._filled = 0
        self._block = 0

    def update(self, piece: Buffer) -> None:
        view = memoryview(piece)
        while view:
            if self._filled == 0:
                number = len(self._table) // 4
                self._block = crc32c(_PLACE.pack(self._position, number), self._salt)
            part = view[: BLOCK - self._filled]
            self._block = crc32c(part, self._block)
            self._filled += len(part)
            view = view[len(part) :]
            if self._filled == BLOCK:
                self._close()

    def finish(self) -> bytes:
        """The table. Nothing may be added afterwards."""
        if self._filled:
            self._close()
        return bytes(self._table)

    def _close(self) -> None:
        self._table += _CRC.pack(self._block)
        self._filled = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRecord:
    """A record met while scanning a copy."""

    version_id: UUID
    position: int
    length: int


def scan(space: Buffer, segment: UUID) -> Iterator[FoundRecord]:
    """The records at the head of a segment's address space, as far as headers verify.

    Payloads are not read: that is `verify_blocks`.
    """
    records = SegmentRecords(segment)
    view = memoryview(space)
    position = 0
    while position < len(view):
        found = _record_at(view, records, position)
        if found is None:
            fresh = aligned(position, GROUP_ALIGNMENT)
            found = _record_at(view, records, fresh) if fresh != position else None
        if found is None:
            return
        yield found
        position = aligned(found.position + record_length(found.length))


def _record_at(view: memoryview, records: SegmentRecords, position: int) -> FoundRecord | None:
    header = view[position : position + RECORD_HEADER]
    if len(header) < RECORD_HEADER or header[:4] != MAGIC:
        return None
    _, _, _, _, version_id, length, _ = _HEAD.unpack_from(header)
    if not records.verify_header(header, length, position):
        return None
    return FoundRecord(version_id=UUID(bytes=version_id), position=position, length=length)


def parse_record(record: Buffer, segment: UUID, position: int) -> memoryview:
    """The payload of a whole record, verified."""
    records = SegmentRecords(segment)
    view = memoryview(record)
    length = _HEAD.unpack_from(view)[5] if len(view) >= RECORD_HEADER else 0
    if len(view) != record_length(length) or not records.verify_header(
        view[:RECORD_HEADER], length, position
    ):
        raise ShardCorrupt("The record's header does not verify.", segment=segment)
    payload = view[RECORD_HEADER : RECORD_HEADER + length]
    if not records.verify_blocks(payload, 0, view[RECORD_HEADER + length :], position):
        raise ShardCorrupt("The record's payload does not verify.", segment=segment)
    return payload
