"""Reading the copies of a sealed segment whole, each record from the first copy that verifies.

Here: the bytes of a replicated layout in memory, ready to be coded, gathered or copied. Not here:
small reads for clients (`reader`), what is done with the bytes.

Promise: every record asked for is verified in what is returned; one that verifies in no copy raises
NotEnoughShards, and nothing is returned, unless the caller takes what there is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from core.errors import BadFormat, NotEnoughShards, ShardCorrupt, StoreError
from storage_nodes.pack_format import RECORD_HEADER, SegmentRecords, record_length
from storage_nodes.shard_file import HEADER_SIZE, parse_header
from storage_nodes.shard_name import ShardName, first_copy
from storage_nodes.stores.base import ShardReader, ShardStore

READ_SIZE = 1 << 20

Record = tuple[int, int]  # position, length of the payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """A replicated layout, and the records of it that somebody still names."""

    segment: UUID
    epoch: int
    drives: Sequence[int]
    size: int  # up to the end of the last record
    records: Sequence[Record]


@dataclass(slots=True)
class Space:
    """The segment's address space, and which copies had to be passed over."""

    content: bytearray
    unreadable: set[int]  # indexes of copies that could not be opened
    damaged: set[int]  # indexes of copies with a record that did not verify
    doubtful: set[int]  # indexes of copies whose file does not say that it is this copy
    lost: list[Record]  # records that verify in no copy


def end_of(records: Sequence[Record]) -> int:
    """Where the last record ends; 0 when there is none."""
    return max((position + record_length(length) for position, length in records), default=0)


async def read(
    copies: Copies, stores: Mapping[int, ShardStore], *, takes_losses: bool = False
) -> Space:
    """The whole address space, every named record verified but those it says are lost."""
    space = Space(bytearray(copies.size), set(), set(), set(), [])
    readers = await _open(copies, stores, space)
    try:
        if not readers:
            raise NotEnoughShards(segment=copies.segment)
        index = await _fill(space, readers)
        records = SegmentRecords(copies.segment)
        for position, length in copies.records:
            if not verifies(records, space.content, position, length):
                space.damaged.add(index)
                if await _mend(space, readers, records, position, length, passed_over=index):
                    continue
                if not takes_losses:
                    raise NotEnoughShards(
                        "A record verifies in no copy of its segment.", position=position
                    )
                space.lost.append((position, length))
        return space
    finally:
        for reader in readers.values():
            await reader.close()


def verifies(records: SegmentRecords, space: bytearray, position: int, length: int) -> bool:
    """Is the record at that position whole?"""
    view = memoryview(space)
    body = position + RECORD_HEADER
    stop = position + record_length(length)
    return (
        stop <= len(view)
        and records.verify_header(view[position:body], length, position)
        and records.verify_blocks(
            view[body : body + length], 0, view[body + length : stop], position
        )
    )


async def _open(
    copies: Copies, stores: Mapping[int, ShardStore], space: Space
) -> dict[int, ShardReader]:
    """The readable copies, the longest first, of equals the one that is most likely in memory;
    those whose header is wrong are a last resort."""
    readers: dict[int, ShardReader] = {}
    for index, drive in enumerate(copies.drives):
        if drive == 0 or drive not in stores:
            space.unreadable.add(index)
            continue
        name = ShardName(copies.segment, copies.epoch, index)
        try:
            readers[index] = await stores[drive].open(name)
            if not await _is_of(readers[index], name):
                space.doubtful.add(index)
        except (StoreError, OSError):
            space.unreadable.add(index)
    for index in space.unreadable & readers.keys():
        await readers.pop(index).close()
    count = len(copies.drives)
    turn = first_copy(copies.segment, count)
    order = sorted(
        readers,
        key=lambda index: (index in space.doubtful, -readers[index].size, (index - turn) % count),
    )
    return {index: readers[index] for index in order}


async def _is_of(reader: ShardReader, name: ShardName) -> bool:
    """Does the file say that it is the copy of that name?"""
    try:
        header = parse_header(await reader.read(0, HEADER_SIZE))
    except (BadFormat, ShardCorrupt):
        return False
    return header.name == name and header.layout == "replicated"


async def _fill(space: Space, readers: dict[int, ShardReader]) -> int:
    """Take everything from one copy; its index. What it cannot give stays zero and is mended."""
    view = memoryview(space.content)
    for index, reader in readers.items():
        try:
            for start in range(0, len(view), READ_SIZE):
                want = min(READ_SIZE, len(view) - start)
                piece = await reader.read(HEADER_SIZE + start, want)
                view[start : start + len(piece)] = piece
                if len(piece) < want:
                    break
            return index
        except (StoreError, OSError):
            space.unreadable.add(index)
    raise NotEnoughShards("No copy of the segment can be read.")


async def _mend(
    space: Space,
    readers: dict[int, ShardReader],
    records: SegmentRecords,
    position: int,
    length: int,
    *,
    passed_over: int,
) -> bool:
    """Put one record in place from another copy; False when it verifies in none."""
    size = record_length(length)
    for index, reader in readers.items():
        if index == passed_over or index in space.unreadable:
            continue
        try:
            piece = await _read_range(reader, HEADER_SIZE + position, size)
        except (StoreError, OSError):
            space.unreadable.add(index)
            continue
        if len(piece) == size:
            space.content[position : position + size] = piece
            if verifies(records, space.content, position, length):
                return True
            space.damaged.add(index)
    return False


async def _read_range(reader: ShardReader, offset: int, length: int) -> bytes:
    pieces = []
    while length:
        piece = await reader.read(offset, min(READ_SIZE, length))
        pieces.append(piece)
        offset += len(piece)
        length -= len(piece)
        if not piece:
            break
    return b"".join(pieces)
