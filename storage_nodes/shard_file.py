"""The format of a shard file: header, block checksums, trailer (docs/formats/shard-file.md).

Here: bytes to values and back, and what makes them valid. Not here: records of pack segments
(`pack_format`), files and drives (`stores`, the node), how a segment is cut up (`striping`).

Promise: what parses is exactly what was written; everything else raises `BadFormat` (not a file of
ours, or a newer one) or `ShardCorrupt` (damaged).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from crc32c import crc32c
from xxhash import xxh3_128

from core.errors import BadFormat, ShardCorrupt
from storage_nodes.coding import CODE_ID
from storage_nodes.shard_name import ShardName
from storage_nodes.striping import BLOCK

Buffer = bytes | bytearray | memoryview

HEADER_SIZE = 4096
TRAILER_SIZE = 64
MAGIC = b"OBJSHARD"
END_MAGIC = b"OBJSHEND"
MAJOR, MINOR = 1, 0
KNOWN_FEATURES = 0

_HEADER = struct.Struct("<8sHHIQ16s16sIBBBBHBBII")
_SALT = struct.Struct("<16sIH")
_TRAILER = struct.Struct("<8sIIQQ16s8xI")
_CRC = struct.Struct("<I")
_CRC_AT = HEADER_SIZE - 4
_LAYOUT_IDS: dict[str, int] = {"replicated": 1, "coded": 2}
_LAYOUTS: dict[int, Literal["replicated", "coded"]] = {1: "replicated", 2: "coded"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardHeader:
    """What a shard file says of itself."""

    cluster: UUID
    name: ShardName
    layout: Literal["replicated", "coded"]
    needed: int
    parity: int
    cell_size: int  # 0 for a replicated one

    def pack(self) -> bytes:
        """The header as 4096 bytes."""
        head = _HEADER.pack(
            MAGIC,
            MAJOR,
            MINOR,
            HEADER_SIZE,
            0,
            self.cluster.bytes,
            self.name.segment.bytes,
            self.name.epoch,
            _LAYOUT_IDS[self.layout],
            self.needed,
            self.parity,
            CODE_ID if self.layout == "coded" else 0,
            self.name.index,
            1,
            1,
            self.cell_size,
            BLOCK,
        )
        body = head.ljust(_CRC_AT, b"\0")
        return body + _CRC.pack(crc32c(body))


def parse_header(block: Buffer) -> ShardHeader:
    """The header in the first 4096 bytes of a file."""
    block = bytes(block[:HEADER_SIZE])
    if len(block) < HEADER_SIZE or block[:8] != MAGIC:
        raise BadFormat("Not a shard file.")
    (_, major, _, length, features, cluster, segment, epoch, layout, needed, parity, code) = (
        _HEADER.unpack_from(block)[:12]
    )
    index, checksum, digest, cell_size, block_size = _HEADER.unpack_from(block)[12:]
    if major != MAJOR or length != HEADER_SIZE or features & ~KNOWN_FEATURES:
        raise BadFormat("The shard file is of a newer format.", major=major, features=features)
    if _CRC.unpack_from(block, _CRC_AT)[0] != crc32c(block[:_CRC_AT]):
        raise ShardCorrupt("The shard file's header does not verify.")
    known_code = CODE_ID if layout == _LAYOUT_IDS["coded"] else 0
    if layout not in _LAYOUTS or (code, checksum, digest, block_size) != (known_code, 1, 1, BLOCK):
        raise BadFormat("The shard file names an algorithm this version does not have.")
    return ShardHeader(
        cluster=UUID(bytes=cluster),
        name=ShardName(UUID(bytes=segment), epoch, index),
        layout=_LAYOUTS[layout],
        needed=needed,
        parity=parity,
        cell_size=cell_size,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardFooter:
    """Table and trailer of a coded shard. A valid one means the shard is complete."""

    payload_length: int
    segment_size: int
    digest: bytes
    checksums: tuple[int, ...]

    def pack(self, name: ShardName) -> bytes:
        """The bytes behind the payload."""
        table = struct.pack(f"<{len(self.checksums)}I", *self.checksums)
        trailer = _TRAILER.pack(
            END_MAGIC,
            len(self.checksums),
            0,
            self.payload_length,
            self.segment_size,
            self.digest,
            crc32c(table, crc32c(_salt(name))),
        )
        return table + trailer + _CRC.pack(crc32c(trailer))


def footer_size(payload_length: int) -> int:
    """Bytes behind a payload of that length."""
    return 4 * -(-payload_length // BLOCK) + TRAILER_SIZE


def parse_footer(tail: Buffer, name: ShardName, file_size: int) -> ShardFooter:
    """The footer, given the last bytes of a file: at least `footer_size` of its payload."""
    tail = bytes(tail)
    if len(tail) < TRAILER_SIZE or tail[-TRAILER_SIZE : -TRAILER_SIZE + 8] != END_MAGIC:
        raise ShardCorrupt("The shard has no end: it is not complete.", shard=name)
    trailer = tail[-TRAILER_SIZE:]
    if _CRC.unpack(trailer[-4:])[0] != crc32c(trailer[:-4]):
        raise ShardCorrupt("The shard's trailer does not verify.", shard=name)
    _, blocks, _, payload_length, segment_size, digest, table_crc = _TRAILER.unpack(trailer[:-4])
    size = footer_size(payload_length)
    if file_size != HEADER_SIZE + payload_length + size or blocks * 4 + TRAILER_SIZE != size:
        raise ShardCorrupt("The shard does not have the length it says.", shard=name)
    if len(tail) < size:
        raise ValueError(f"the footer has {size} bytes, given were {len(tail)}")
    table = tail[-size:-TRAILER_SIZE]
    if crc32c(table, crc32c(_salt(name))) != table_crc:
        raise ShardCorrupt("The shard's checksum table does not verify.", shard=name)
    return ShardFooter(
        payload_length=payload_length,
        segment_size=segment_size,
        digest=digest,
        checksums=struct.unpack(f"<{blocks}I", table),
    )


def salt(name: ShardName) -> int:
    """What every block checksum of this shard starts from."""
    return crc32c(_salt(name))


def block_checksum(block: Buffer, number: int, shard_salt: int) -> int:
    """The checksum of block `number`, salted with `salt(name)`."""
    return crc32c(block, crc32c(_CRC.pack(number), shard_salt))


def verify_blocks(
    payload: Buffer, first_block: int, checksums: Sequence[int], shard_salt: int
) -> int | None:
    """Number of the first block that does not verify, or None. `payload` starts at a block."""
    view = memoryview(payload)
    for number, start in enumerate(range(0, len(view), BLOCK), first_block):
        if block_checksum(view[start : start + BLOCK], number, shard_salt) != checksums[number]:
            return number
    return None


class BlockSums:
    """Checksums and digest of one shard's payload, gathered while it is written in any pieces."""

    __slots__ = ("_block", "_digest", "_filled", "_salt", "checksums", "length")

    def __init__(self, name: ShardName) -> None:
        self._salt = salt(name)
        self._digest = xxh3_128()
        self._filled = 0
        self._block = self._start(0)
        self.checksums: list[int] = []
        self.length = 0

    def update(self, piece: Buffer) -> None:
        """The next bytes of the payload."""
        self._digest.update(piece)
        view = memoryview(piece)
        self.length += len(view)
        while view:
            part = view[: BLOCK - self._filled]
            self._block = crc32c(part, self._block)
            self._filled += len(part)
            view = view[len(part) :]
            if self._filled == BLOCK:
                self._close()

    def footer(self, segment_size: int) -> ShardFooter:
        """What belongs behind the payload. Nothing may be added afterwards."""
        if self._filled:
            self._close()
        return ShardFooter(
            payload_length=self.length,
            segment_size=segment_size,
            digest=self._digest.digest(),
            checksums=tuple(self.checksums),
        )

    def _close(self) -> None:
        self.checksums.append(self._block)
        self._filled = 0
        self._block = self._start(len(self.checksums))

    def _start(self, number: int) -> int:
        return int(crc32c(_CRC.pack(number), self._salt))


def _salt(name: ShardName) -> bytes:
    return _SALT.pack(name.segment.bytes, name.epoch, name.index)
