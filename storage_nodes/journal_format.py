"""The format of journal files: segments of changes and snapshots (docs/formats/journal.md).

Here: bytes to values and back, and what makes them valid. Not here: how files get onto drives
(`journal_files`), what the entries mean (whoever wrote or replays them).

Promise: what parses is exactly what was written; everything else raises `BadFormat` (not a file of
ours, or a newer one) or `ShardCorrupt` (damaged, or not complete).
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple
from uuid import UUID

from crc32c import crc32c

from core.errors import BadFormat, ShardCorrupt

VERSION = 1
KNOWN_FEATURES = 0
MOST_PAYLOAD = 256 << 20

_HEADER = struct.Struct("<8sHHI16s16sQQQ20xI")
_ENTRY = struct.Struct("<IIQQ")
_FOOTER = struct.Struct("<QQQQII8s")
_CRC = struct.Struct("<I")
HEADER_SIZE = _HEADER.size
FOOTER_SIZE = _FOOTER.size
_FOOTER_CRC_AT = FOOTER_SIZE - 12
_LOW_32 = (1 << 32) - 1
_MAGIC = {"jrn": b"OBJSJRN1", "snap": b"OBJSSNP1"}
_END_MAGIC = {"jrn": b"1NRJSJBO", "snap": b"1PNSSJBO"}
_KINDS: dict[bytes, Literal["jrn", "snap"]] = {b"OBJSJRN1": "jrn", b"OBJSSNP1": "snap"}


class Place(NamedTuple):
    """A place in the order of changes."""

    xid: int
    id: int


START = Place(0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalHeader:
    """What a journal file says of itself. Everything up to `after` is in files before it."""

    kind: Literal["jrn", "snap"]
    cluster: UUID
    lineage: UUID
    number: int
    after: Place

    def pack(self) -> bytes:
        """The header as bytes."""
        packed = _HEADER.pack(
            _MAGIC[self.kind],
            VERSION,
            HEADER_SIZE,
            0,
            self.cluster.bytes,
            self.lineage.bytes,
            self.number,
            *self.after,
            0,
        )
        return packed[:-4] + _CRC.pack(crc32c(packed[:-4]))


def parse_header(block: bytes) -> JournalHeader:
    """The header at the start of a file."""
    if len(block) < HEADER_SIZE or block[:8] not in _KINDS:
        raise BadFormat("Not a journal file.")
    magic, version, length, features, cluster, lineage, number, xid, row, checksum = (
        _HEADER.unpack_from(block)
    )
    if version != VERSION or length != HEADER_SIZE or features & ~KNOWN_FEATURES:
        raise BadFormat("The journal file is of a newer format.", version=version, needs=features)
    if checksum != crc32c(block[: HEADER_SIZE - 4]):
        raise ShardCorrupt("The journal file's header does not verify.")
    return JournalHeader(
        kind=_KINDS[magic],
        cluster=UUID(bytes=cluster),
        lineage=UUID(bytes=lineage),
        number=number,
        after=Place(xid, row),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalFooter:
    """The end of a journal file. A valid one means that the file is complete."""

    last: Place
    count: int
    length: int
    checksum: int


def parse_footer(tail: bytes, kind: Literal["jrn", "snap"], file_size: int) -> JournalFooter:
    """The footer in the last bytes of a file of that size."""
    tail = tail[-FOOTER_SIZE:]
    if len(tail) < FOOTER_SIZE or tail[-8:] != _END_MAGIC[kind]:
        raise ShardCorrupt("The journal file has no end: it is not complete.")
    xid, row, count, length, checksum, own, _ = _FOOTER.unpack(tail)
    if own != crc32c(tail[:_FOOTER_CRC_AT]):
        raise ShardCorrupt("The journal file's footer does not verify.")
    if file_size != HEADER_SIZE + length + FOOTER_SIZE:
        raise ShardCorrupt("The journal file does not have the length it says.")
    return JournalFooter(last=Place(xid, row), count=count, length=length, checksum=checksum)


class Entry(NamedTuple):
    """One change, or one row of a snapshot; the payload is a JSON object."""

    xid: int
    id: int
    payload: bytes


class Encoder:
    """The bytes of one file, piece by piece: `head`, `entry` as often as wanted, `foot`."""

    def __init__(self, header: JournalHeader) -> None:
        self.header = header
        self.count = 0
        self.length = 0
        self._last = header.after
        self._checksum = 0

    def head(self) -> bytes:
        return self.header.pack()

    def entry(self, xid: int, row: int, payload: bytes) -> bytes:
        """The next entry. `xid` and `row` never decrease in a segment of changes."""
        if len(payload) > MOST_PAYLOAD:
            raise ValueError(f"an entry of {len(payload)} bytes")
        packed = b"".join(
            (
                _ENTRY.pack(len(payload), crc32c(payload, row & _LOW_32), xid, row),
                payload,
                bytes(-len(payload) % 8),
            )
        )
        self._checksum = crc32c(packed, self._checksum)
        self.count += 1
        self.length += len(packed)
        self._last = Place(xid, row)
        return packed

    def foot(self) -> bytes:
        """Nothing may be added afterwards."""
        packed = _FOOTER.pack(
            *self._last,
            self.count,
            self.length,
            self._checksum,
            0,
            _END_MAGIC[self.header.kind],
        )
        own = crc32c(packed[:_FOOTER_CRC_AT])
        return packed[:_FOOTER_CRC_AT] + _CRC.pack(own) + packed[-8:]


class Decoder:
    """Takes a file of known size in pieces of any length, and gives its entries.

    An entry is verified when it is given; the file as a whole by `finish`, which raises when
    anything is missing. `header` is there once its bytes were fed.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._buffer = bytearray()
        self._at = 0
        self._checksum = 0
        self._count = 0
        self._stop = size - FOOTER_SIZE
        self._header: JournalHeader | None = None
        if size < HEADER_SIZE + FOOTER_SIZE:
            raise ShardCorrupt("The journal file is too short to be complete.")

    @property
    def header(self) -> JournalHeader:
        if self._header is None:
            raise ShardCorrupt("The journal file has no header yet.")
        return self._header

    def feed(self, piece: bytes) -> Iterator[Entry]:
        """The entries that are complete with these bytes."""
        self._buffer += piece
        if self._header is None:
            if len(self._buffer) < HEADER_SIZE:
                return
            self._header = parse_header(bytes(self._buffer[:HEADER_SIZE]))
            self._take(HEADER_SIZE)
        view = bytes(self._buffer)
        used = 0
        while (found := self._entry(view, used)) is not None:
            entry, after = found
            used = after
            self._count += 1
            yield entry
        self._checksum = crc32c(view[:used], self._checksum)
        self._take(used)

    def finish(self) -> JournalFooter:
        """The footer, once every byte was fed."""
        header = self.header
        if self._at != self._stop or len(self._buffer) != FOOTER_SIZE:
            raise ShardCorrupt("The journal file ends within an entry.", number=header.number)
        footer = parse_footer(bytes(self._buffer), header.kind, self._size)
        if (footer.checksum, footer.count) != (self._checksum, self._count):
            raise ShardCorrupt("The journal file's entries do not verify.", number=header.number)
        return footer

    def _entry(self, view: bytes, start: int) -> tuple[Entry, int] | None:
        left = self._stop - self._at - start
        if left == 0 or len(view) - start < _ENTRY.size:
            return None
        length, checksum, xid, row = _ENTRY.unpack_from(view, start)
        body = start + _ENTRY.size
        after = body + length + (-length % 8)
        if after - start > left:
            raise ShardCorrupt("An entry of the journal file is longer than the file.")
        if after > len(view):
            return None
        payload = view[body : body + length]
        if crc32c(payload, row & _LOW_32) != checksum:
            raise ShardCorrupt("An entry of the journal file does not verify.", id=row)
        return Entry(xid, row, payload), after

    def _take(self, length: int) -> None:
        del self._buffer[:length]
        self._at += length


def decode(size: int, read: Callable[[int], bytes], piece: int = 4 << 20) -> Iterator[Entry]:
    """All entries of a file whose bytes `read` gives one after another; verified at the end."""
    decoder = Decoder(size)
    while block := read(piece):
        yield from decoder.feed(block)
    decoder.finish()
