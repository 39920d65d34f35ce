"""Writing a segment in its coded layout, and proving that it can be read back.

Here: from an address space in memory to k + m published and verified shard files. Not here: which
segment, where its bytes come from (`copies`, `gather`), which row names the result (`layouts`).

Promise: when `write` returns, every shard file is published and was read back from its drive
block by block, and the data was decoded from parity as well. When it raises, no row names any of
the files, and whoever announced them beforehand owes their removal.
"""

import random
from collections.abc import Mapping, Sequence

from core.errors import ShardCorrupt
from core.failpoints import declare
from storage_nodes.coded_layout import CodedLayout
from storage_nodes.coding import Coder, coder
from storage_nodes.shard_file import (
    HEADER_SIZE,
    BlockSums,
    ShardFooter,
    footer_size,
    parse_footer,
    parse_header,
    salt,
    verify_blocks,
)
from storage_nodes.stores.base import Buffer, ShardReader, ShardStore
from storage_nodes.striping import BLOCK, Striping

# One trip to a drive; a multiple of the block size, and what HTTP stores carry in one request.
PIECE = 1 << 20

SOME_SHARDS = declare("encode.some-shards", point="C12", doc="half of the shards are published")
ALL_SHARDS = declare("encode.all-shards", point="C12", doc="every shard published, none verified")


async def write(layout: CodedLayout, space: Buffer, stores: Mapping[int, ShardStore]) -> None:
    """Code `space`, publish every shard, read all of it back."""
    assert len(layout.drives) == layout.policy.width
    assert len(space) == layout.size
    striping = Striping(len(space), layout.policy.needed, layout.cell_size)
    code = coder(layout.policy.needed, layout.policy.parity)
    cells = _cells(space, striping)
    parity = _parity(cells, code)
    footers = []
    for index, drive in enumerate(layout.drives):
        source, place = (cells, index) if index < code.needed else (parity, index - code.needed)
        column = [stripe[place] for stripe in source]
        footers.append(await _publish(layout, index, column, len(space), stores[drive]))
        if index == layout.policy.width // 2:
            await SOME_SHARDS.reach()
    await ALL_SHARDS.reach()
    await verify(layout, footers, stores)


def _cells(space: Buffer, striping: Striping) -> list[list[Buffer]]:
    """The data cells of every stripe, without copying all but the last, padded one."""
    view = memoryview(space)
    size, needed = striping.cell_size, striping.needed
    stripes: list[list[Buffer]] = []
    for stripe in range(striping.full_stripes):
        start = stripe * striping.stripe_size
        stripes.append([view[start + n * size : start + (n + 1) * size] for n in range(needed)])
    if tail := striping.tail_cell:
        rest = bytes(view[striping.full_stripes * striping.stripe_size :]).ljust(
            tail * needed, b"\0"
        )
        padded = memoryview(rest)
        stripes.append([padded[n * tail : (n + 1) * tail] for n in range(needed)])
    return stripes


def _parity(cells: list[list[Buffer]], code: Coder) -> list[list[Buffer]]:
    stripes: list[list[Buffer]] = []
    for data in cells:
        out = [bytearray(len(data[0])) for _ in range(code.parity)]
        code.encode(data, out)
        stripes.append(list(out))
    return stripes


async def _publish(
    layout: CodedLayout, index: int, column: Sequence[Buffer], segment_size: int, store: ShardStore
) -> ShardFooter:
    """One shard file, durable under its name."""
    name = layout.name(index)
    length = sum(len(cell) for cell in column)
    file = await store.create(
        name,
        purpose="shard",
        size_bytes=HEADER_SIZE + length + footer_size(length),
        header=layout.header(index).pack(),
    )
    try:
        sums = BlockSums(name)
        offset, waiting, size = HEADER_SIZE, list[Buffer](), 0
        for cell in column:
            sums.update(cell)
            waiting.append(cell)
            size += len(cell)
            if size >= PIECE:
                await file.write(offset, waiting)
                offset, waiting, size = offset + size, [], 0
        footer = sums.footer(segment_size)
        await file.write(offset, [*waiting, footer.pack(name)])
        await file.publish()
    except BaseException:
        await file.abandon()
        raise
    return footer


async def verify(
    layout: CodedLayout, footers: Sequence[ShardFooter], stores: Mapping[int, ShardStore]
) -> None:
    """Read every shard back from its drive, and decode the data from as much parity as can be used.

    ShardCorrupt names the shard that is not what was written.
    """
    readers: list[ShardReader] = []
    try:
        for index, drive in enumerate(layout.drives):
            reader = await stores[drive].open(layout.name(index))
            readers.append(reader)
            await _verify_frame(layout, index, reader, footers[index])
        length = footers[0].payload_length
        chosen = _subset(layout)
        for start in range(0, length, PIECE):
            await _verify_range(layout, footers, readers, chosen, start, min(start + PIECE, length))
    finally:
        for reader in readers:
            await reader.close()


async def _verify_frame(
    layout: CodedLayout, index: int, reader: ShardReader, footer: ShardFooter
) -> None:
    header = parse_header(await reader.read(0, HEADER_SIZE))
    size = footer_size(footer.payload_length)
    tail = await reader.read(HEADER_SIZE + footer.payload_length, size)
    if header != layout.header(index) or footer != parse_footer(
        tail, layout.name(index), reader.size
    ):
        raise ShardCorrupt("The shard is not what was written.", shard=layout.name(index))


async def _verify_range(
    layout: CodedLayout,
    footers: Sequence[ShardFooter],
    readers: Sequence[ShardReader],
    chosen: Sequence[int],
    start: int,
    stop: int,
) -> None:
    pieces = {}
    for index, reader in enumerate(readers):
        piece = await reader.read(HEADER_SIZE + start, stop - start)
        name = layout.name(index)
        bad = verify_blocks(piece, start // BLOCK, footers[index].checksums, salt(name))
        if len(piece) != stop - start or bad is not None:
            raise ShardCorrupt("The shard is not what was written.", shard=name)
        pieces[index] = piece
    code = coder(layout.policy.needed, layout.policy.parity)
    lost = [index for index in range(code.needed) if index not in chosen]
    restored = code.restore({index: pieces[index] for index in chosen}, lost)
    for index in lost:
        if restored[index] != pieces[index]:
            raise ShardCorrupt("The parity does not give the data back.", shard=layout.name(index))


def _subset(layout: CodedLayout) -> list[int]:
    """k shards with all the parity there is room for, another choice of data each time."""
    chance = random.Random(layout.segment.int ^ layout.epoch)
    needed, width = layout.policy.needed, layout.policy.width
    parity = chance.sample(range(needed, width), min(needed, width - needed))
    return sorted(parity + chance.sample(range(needed), needed - len(parity)))
