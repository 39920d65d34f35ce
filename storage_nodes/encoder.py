"""Writing a segment in its coded layout, and proving that it can be read back.

Here: from an address space in memory to k + m published and verified shard files. Not here: which
segment, where its bytes come from (`copies`, `gather`), which row names the result (`layouts`).

Promise: when `write` returns, every shard file is published and was read back from its drive
block by block, and the data was decoded from parity as well. When it raises, no row names any of
the files, and whoever announced them beforehand owes their removal.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from core.errors import ShardCorrupt
from core.failpoints import declare
from storage_nodes.coding import Coder, coder
from storage_nodes.policy import StoragePolicy
from storage_nodes.shard_file import (
    HEADER_SIZE,
    BlockSums,
    ShardFooter,
    ShardHeader,
    footer_size,
    parse_footer,
    parse_header,
    salt,
    verify_blocks,
)
from storage_nodes.shard_name import ShardName
from storage_nodes.stores.base import Buffer, ShardReader, ShardStore
from storage_nodes.striping import BLOCK, Striping

# One trip to a drive; a multiple of the block size, and what HTTP stores carry in one request.
PIECE = 1 << 20

SOME_SHARDS = declare("encode.some-shards", point="C12", doc="half of the shards are published")
ALL_SHARDS = declare("encode.all-shards", point="C12", doc="every shard published, none verified")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One coded layout to be written."""

    cluster: UUID
    segment: UUID
    epoch: int
    policy: StoragePolicy
    cell_size: int
    drives: Sequence[int]

    def name(self, index: int) -> ShardName:
        return ShardName(self.segment, self.epoch, index)

    def header(self, index: int) -> ShardHeader:
        return ShardHeader(
            cluster=self.cluster,
            name=self.name(index),
            layout="coded",
            needed=self.policy.needed,
            parity=self.policy.parity,
            cell_size=self.cell_size,
        )


async def write(plan: Plan, space: Buffer, stores: Mapping[int, ShardStore]) -> None:
    """Code `space`, publish every shard, read all of it back."""
    assert len(plan.drives) == plan.policy.width
    striping = Striping(len(space), plan.policy.needed, plan.cell_size)
    code = coder(plan.policy.needed, plan.policy.parity)
    cells = _cells(space, striping)
    parity = _parity(cells, code)
    footers = []
    for index, drive in enumerate(plan.drives):
        source, place = (cells, index) if index < code.needed else (parity, index - code.needed)
        column = [stripe[place] for stripe in source]
        footers.append(await _publish(plan, index, column, len(space), stores[drive]))
        if index == plan.policy.width // 2:
            await SOME_SHARDS.reach()
    await ALL_SHARDS.reach()
    await verify(plan, footers, stores)


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
    plan: Plan, index: int, column: Sequence[Buffer], segment_size: int, store: ShardStore
) -> ShardFooter:
    """One shard file, durable under its name."""
    name = plan.name(index)
    length = sum(len(cell) for cell in column)
    file = await store.create(
        name,
        purpose="shard",
        size_bytes=HEADER_SIZE + length + footer_size(length),
        header=plan.header(index).pack(),
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
    plan: Plan, footers: Sequence[ShardFooter], stores: Mapping[int, ShardStore]
) -> None:
    """Read every shard back from its drive, and decode the data from as much parity as can be used.

    ShardCorrupt names the shard that is not what was written.
    """
    readers: list[ShardReader] = []
    try:
        for index, drive in enumerate(plan.drives):
            reader = await stores[drive].open(plan.name(index))
            readers.append(reader)
            await _verify_frame(plan, index, reader, footers[index])
        length = footers[0].payload_length
        chosen = _subset(plan)
        for start in range(0, length, PIECE):
            await _verify_range(plan, footers, readers, chosen, start, min(start + PIECE, length))
    finally:
        for reader in readers:
            await reader.close()


async def _verify_frame(plan: Plan, index: int, reader: ShardReader, footer: ShardFooter) -> None:
    header = parse_header(await reader.read(0, HEADER_SIZE))
    size = footer_size(footer.payload_length)
    tail = await reader.read(HEADER_SIZE + footer.payload_length, size)
    if header != plan.header(index) or footer != parse_footer(tail, plan.name(index), reader.size):
        raise ShardCorrupt("The shard is not what was written.", shard=plan.name(index))


async def _verify_range(
    plan: Plan,
    footers: Sequence[ShardFooter],
    readers: Sequence[ShardReader],
    chosen: Sequence[int],
    start: int,
    stop: int,
) -> None:
    pieces = {}
    for index, reader in enumerate(readers):
        piece = await reader.read(HEADER_SIZE + start, stop - start)
        name = plan.name(index)
        bad = verify_blocks(piece, start // BLOCK, footers[index].checksums, salt(name))
        if len(piece) != stop - start or bad is not None:
            raise ShardCorrupt("The shard is not what was written.", shard=name)
        pieces[index] = piece
    code = coder(plan.policy.needed, plan.policy.parity)
    lost = [index for index in range(code.needed) if index not in chosen]
    restored = code.restore({index: pieces[index] for index in chosen}, lost)
    for index in lost:
        if restored[index] != pieces[index]:
            raise ShardCorrupt("The parity does not give the data back.", shard=plan.name(index))


def _subset(plan: Plan) -> list[int]:
    """k shards with all the parity there is room for, another choice of data each time."""
    chance = random.Random(plan.segment.int ^ plan.epoch)
    needed, width = plan.policy.needed, plan.policy.width
    parity = chance.sample(range(needed, width), min(needed, width - needed))
    return sorted(parity + chance.sample(range(needed), needed - len(parity)))
