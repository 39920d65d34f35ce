"""Putting lost shards of a segment back: from any k of a coded one, from any copy of a replicated
one.

Here: the bytes. Not here: which shard, on which drive (workers.repair), rows (`layouts`).

Promise: what is published was computed from verified blocks only, and read back and verified
before this returns. A shard that nobody can restore raises NotEnoughShards, and then nothing was
published and nothing taken away: a damaged file, whose good blocks may be the last of their kind,
keeps its name until its whole and durable successor takes it over, in one step of its node.
"""

from collections.abc import AsyncIterator, Collection, Mapping

from xxhash import xxh3_128

from core.errors import BadFormat, NotEnoughShards, ShardCorrupt, ShardMissing, StoreError
from storage_nodes import copies
from storage_nodes.coded_layout import CodedLayout
from storage_nodes.coding import coder
from storage_nodes.pack_format import SegmentRecords
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
from storage_nodes.stores.base import ShardFile, ShardReader, ShardStore
from storage_nodes.striping import BLOCK

PIECE = 1 << 20


class Sources:
    """The shards of a coded segment that can be read. One with a bad block is asked only where the
    others do not suffice: its other blocks verify or do not, each for itself.
    """

    def __init__(self, coded: CodedLayout) -> None:
        self._coded = coded
        self._readers: dict[int, ShardReader] = {}
        self._footers: dict[int, ShardFooter] = {}
        self._doubtful: set[int] = set()
        self.bad: dict[int, str] = {}

    async def open(self, stores: Mapping[int, ShardStore], doubtful: Collection[int]) -> None:
        """Open what can be opened, frame verified; those known to be bad are asked last."""
        self._doubtful.update(doubtful)
        for index, drive in enumerate(self._coded.drives):
            if drive == 0 or drive not in stores:
                continue
            try:
                reader = await stores[drive].open(self._coded.name(index))
            except ShardMissing:
                self.bad[index] = "missing"
                continue
            except (StoreError, OSError):
                continue
            self._readers[index] = reader
            try:
                self._footers[index] = await read_frame(self._coded, index, reader)
            except (ShardCorrupt, BadFormat):
                self.bad[index] = "corrupt"
                await self._drop(index)
            except (StoreError, OSError):
                await self._drop(index)

    async def ranges(self, start: int, stop: int) -> AsyncIterator[tuple[int, dict[int, bytes]]]:
        """[start, stop) of k shards in one piece, or block by block where no k have all of it: the
        places the pieces begin at, and the pieces.
        """
        try:
            have = await self.read(start, stop)
        except NotEnoughShards:
            if stop - start <= BLOCK:
                raise
        else:
            yield start, have
            return
        for at in range(start, stop, BLOCK):
            yield at, await self.read(at, min(at + BLOCK, stop))

    async def read(self, start: int, stop: int) -> dict[int, bytes]:
        """The range of k shards, verified; data shards first. `start` begins a block."""
        pieces: dict[int, bytes] = {}
        for index in sorted(self._readers, key=lambda each: (each in self._doubtful, each)):
            if len(pieces) == self._coded.policy.needed:
                break
            try:
                piece = await self._readers[index].read(HEADER_SIZE + start, stop - start)
            except ShardCorrupt:
                self._doubt(index)
                continue
            except (StoreError, OSError):
                await self._drop(index)
                continue
            sums = self._footers[index].checksums
            shard_salt = salt(self._coded.name(index))
            bad = verify_blocks(piece, start // BLOCK, sums, shard_salt)
            if len(piece) != stop - start or bad is not None:
                self._doubt(index)
                continue
            pieces[index] = piece
        if len(pieces) < self._coded.policy.needed:
            raise NotEnoughShards(
                segment=self._coded.segment, have=len(pieces), needed=self._coded.policy.needed
            )
        return pieces

    async def close(self) -> None:
        for reader in self._readers.values():
            await reader.close()

    def _doubt(self, index: int) -> None:
        self.bad[index] = "corrupt"
        self._doubtful.add(index)

    async def _drop(self, index: int) -> None:
        await self._readers.pop(index).close()


async def read_frame(coded: CodedLayout, index: int, reader: ShardReader) -> ShardFooter:
    """Header and footer of a shard, verified against what the row says."""
    name, length = coded.name(index), coded.shard_length
    if parse_header(await reader.read(0, HEADER_SIZE)) != coded.header(index):
        raise ShardCorrupt("The shard's header is another's.", shard=name)
    tail = await reader.read(HEADER_SIZE + length, footer_size(length))
    footer = parse_footer(tail, name, reader.size)
    if footer.segment_size != coded.size or footer.payload_length != length:
        raise ShardCorrupt("The shard belongs to a segment of another size.", shard=name)
    return footer


async def restore(
    coded: CodedLayout,
    targets: Mapping[int, int],
    stores: Mapping[int, ShardStore],
    *,
    in_the_way: Collection[int] = (),
) -> dict[int, str]:
    """Write the shards `targets` (index -> drive) anew; other shards found bad on the way.

    The targets `in_the_way` take over the name of a file, which goes to trash.
    """
    sources = Sources(coded)
    files: dict[int, ShardFile] = {}
    length = coded.shard_length
    code = coder(coded.policy.needed, coded.policy.parity)
    try:
        await sources.open(stores, list(targets))
        for index, drive in targets.items():
            files[index] = await stores[drive].create(
                coded.name(index),
                purpose="shard",
                size_bytes=HEADER_SIZE + length + footer_size(length),
                header=coded.header(index).pack(),
            )
        sums = {index: BlockSums(coded.name(index)) for index in targets}
        # Cells of one stripe have one length, and pieces of equal place belong together.
        for start in range(0, length, PIECE):
            async for at, have in sources.ranges(start, min(start + PIECE, length)):
                for index, piece in code.restore(have, list(targets)).items():
                    sums[index].update(piece)
                    await files[index].write(HEADER_SIZE + at, [piece])
        for index, file in files.items():
            footer = sums[index].footer(coded.size).pack(coded.name(index))
            await file.write(HEADER_SIZE + length, [footer], sync=True)
        for index, file in files.items():
            await file.publish(replace=index in in_the_way)
    except BaseException:
        for file in files.values():
            await file.abandon()
        raise
    finally:
        await sources.close()
    for index, drive in targets.items():
        if not await is_whole(coded, index, stores[drive]):
            raise ShardCorrupt("The restored shard does not verify.", shard=coded.name(index))
    return {index: why for index, why in sources.bad.items() if index not in targets}


async def is_whole(coded: CodedLayout, index: int, store: ShardStore) -> bool:
    """Does the shard's every block verify on that drive?"""
    try:
        reader = await store.open(coded.name(index))
    except (StoreError, OSError):
        return False
    try:
        footer = await read_frame(coded, index, reader)
        digest = xxh3_128()
        for start in range(0, footer.payload_length, PIECE):
            stop = min(start + PIECE, footer.payload_length)
            piece = await reader.read(HEADER_SIZE + start, stop - start)
            shard_salt = salt(coded.name(index))
            if len(piece) != stop - start:
                return False
            if verify_blocks(piece, start // BLOCK, footer.checksums, shard_salt) is not None:
                return False
            digest.update(piece)
        return digest.digest() == footer.digest
    except (ShardCorrupt, BadFormat):
        return False
    finally:
        await reader.close()


async def restore_copy(
    source: copies.Copies,
    space: bytearray,
    header: ShardHeader,
    store: ShardStore,
    *,
    is_in_the_way: bool = False,
) -> None:
    """Write one copy of a replicated segment anew, from a verified address space.

    A file of its name that `is_in_the_way` goes to trash when the new one has the name.
    """
    size = HEADER_SIZE + len(space)
    file = await store.create(header.name, purpose="shard", size_bytes=size, header=header.pack())
    try:
        view = memoryview(space)
        for start in range(0, len(view), PIECE):
            await file.write(HEADER_SIZE + start, [view[start : start + PIECE]])
        await file.sync()
        await file.publish(replace=is_in_the_way)
    except BaseException:
        await file.abandon()
        raise
    if not await copy_is_whole(source, header.name, store):
        raise ShardCorrupt("The restored copy does not verify.", shard=header.name)


async def copy_is_whole(source: copies.Copies, name: ShardName, store: ShardStore) -> bool:
    """Is it this copy of the segment, and does it hold every named record?"""
    drives = [0] * name.index
    alone = copies.Copies(
        segment=source.segment,
        epoch=source.epoch,
        drives=[*drives, 1],
        size=source.size,
        records=source.records,
    )
    try:
        space = await copies.read(alone, {1: store})
    except NotEnoughShards:
        return False
    if space.doubtful:
        return False
    records = SegmentRecords(source.segment)
    return all(copies.verifies(records, space.content, at, length) for at, length in source.records)
