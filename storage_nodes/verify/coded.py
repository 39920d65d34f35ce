"""Every byte of a coded segment: header, blocks, table and digest of each shard, and the code.

Promise: a shard nothing is said about was read whole from its drive, is this shard of this layout,
and every block and the digest of it verify. When k + 1 shards or more can be read and nothing is
said about the segment, they belong together: parity is the parity of that data.

Memory: one piece of each shard. A bad shard is read no further.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence

from xxhash import xxh3_128

from core.errors import BadFormat, ShardCorrupt, StoreError
from storage_nodes.coded_layout import CodedLayout
from storage_nodes.coding import Coder, coder
from storage_nodes.shard_file import (
    HEADER_SIZE,
    ShardFooter,
    footer_size,
    parse_footer,
    salt,
    verify_blocks,
)
from storage_nodes.stores.base import ShardReader
from storage_nodes.striping import BLOCK
from storage_nodes.verify.findings import Bad, Finding, Store, Throttle, check_header, judged

# A multiple of the block size, and what one trip to a drive carries.
PIECE = 1 << 20


async def check(
    coded: CodedLayout, store: Store, throttle: Throttle, indexes: Collection[int] | None = None
) -> list[Finding]:
    """What is wrong with the segment; with `indexes`, with those shards of it."""
    chosen = range(len(coded.drives)) if indexes is None else sorted(indexes)
    reading = _Reading(coded, store, throttle)
    try:
        await asyncio.gather(*(reading.open(index) for index in chosen))
        for start in range(0, coded.shard_length, PIECE):
            await reading.pieces(start, min(start + PIECE, coded.shard_length))
        reading.digests()
    finally:
        await reading.close()
    return reading.found


class _Shard:
    """One shard that has been in order so far."""

    def __init__(self, reader: ShardReader, footer: ShardFooter, shard_salt: int) -> None:
        self.reader = reader
        self.footer = footer
        self.salt = shard_salt
        self.digest = xxh3_128()


class _Reading:
    """All shards of one segment, side by side."""

    def __init__(self, coded: CodedLayout, store: Store, throttle: Throttle) -> None:
        self.found: list[Finding] = []
        self._coded = coded
        self._store = store
        self._throttle = throttle
        self._shards: dict[int, _Shard] = {}
        self._is_consistent = True

    async def open(self, index: int) -> None:
        coded, drive = self._coded, self._coded.drives[index]
        if drive == 0:
            self._say(index, Bad("missing", "It is on no drive yet."))
            return
        try:
            reader = await self._store(drive).open(coded.name(index))
            self._throttle.tally.shards += 1
            try:
                footer = await self._frame(index, reader)
            except BaseException:
                await reader.close()
                raise
        except (Bad, StoreError, OSError) as why:
            self._say(index, judged(why))
            return
        self._shards[index] = _Shard(reader, footer, salt(coded.name(index)))

    async def pieces(self, start: int, stop: int) -> None:
        """The same range of every shard: each verified, then all of them together."""
        read = await asyncio.gather(
            *(self._piece(index, shard, start, stop) for index, shard in self._shards.items())
        )
        pieces = {index: piece for index, piece in read if piece is not None}
        await self._throttle.took(sum(map(len, pieces.values())))
        for index in self._shards.keys() - pieces.keys():
            await self._shards.pop(index).reader.close()
        self._together(pieces, start)

    def digests(self) -> None:
        """Called when everything has been read."""
        for index, shard in self._shards.items():
            if shard.digest.digest() != shard.footer.digest:
                self._say(index, Bad("corrupt", "Its digest is not that of its payload."))

    async def close(self) -> None:
        for shard in self._shards.values():
            await shard.reader.close()

    async def _frame(self, index: int, reader: ShardReader) -> ShardFooter:
        coded, length = self._coded, self._coded.shard_length
        await check_header(reader, coded.header(index))
        size = footer_size(length)
        whole = HEADER_SIZE + length + size
        if reader.size < whole:
            raise Bad("truncated", f"It has {reader.size} bytes of {whole}.")
        if reader.size > whole:
            raise Bad("corrupt", f"It has {reader.size} bytes, not {whole}.")
        tail = await reader.read(HEADER_SIZE + length, size)
        try:
            footer = parse_footer(tail, coded.name(index), reader.size)
        except (ShardCorrupt, BadFormat) as why:
            raise Bad("corrupt", why.message) from why
        if footer.segment_size != coded.size or footer.payload_length != length:
            raise Bad("corrupt", "Its footer names another size of the segment.")
        await self._throttle.took(HEADER_SIZE + size)
        return footer

    async def _piece(
        self, index: int, shard: _Shard, start: int, stop: int
    ) -> tuple[int, bytes | None]:
        """The range of one shard, or None after saying what is wrong with it."""
        try:
            piece = await shard.reader.read(HEADER_SIZE + start, stop - start)
            if len(piece) != stop - start:
                raise Bad("truncated", f"It ends at byte {HEADER_SIZE + start + len(piece)}.")
            bad = verify_blocks(piece, start // BLOCK, shard.footer.checksums, shard.salt)
            if bad is not None:
                raise Bad("corrupt", f"Block {bad} does not verify.")
        except (Bad, StoreError, OSError) as why:
            self._say(index, judged(why))
            return index, None
        shard.digest.update(piece)
        self._throttle.tally.blocks += -(-len(piece) // BLOCK)
        return index, piece

    def _together(self, pieces: Mapping[int, bytes], start: int) -> None:
        code = coder(self._coded.policy.needed, self._coded.policy.parity)
        if not self._is_consistent or len(pieces) <= code.needed or agree(code, pieces):
            return
        self._is_consistent = False
        odd = odd_ones(code, pieces)
        drive = self._coded.drives[odd[0]] if len(odd) == 1 else None
        detail = f"Every block verifies, but parity and data disagree in [{start}, +{PIECE})"
        self.found.append(
            Finding(
                kind="inconsistent",
                segment=self._coded.segment,
                epoch=self._coded.epoch,
                index=odd[0] if len(odd) == 1 else None,
                drive=drive,
                detail=f"{detail} of the payload.",
            )
        )

    def _say(self, index: int, bad: Bad) -> None:
        self.found.append(
            Finding(
                kind=bad.kind,
                segment=self._coded.segment,
                epoch=self._coded.epoch,
                index=index,
                drive=self._coded.drives[index] or None,
                detail=bad.detail,
            )
        )


def agree(code: Coder, pieces: Mapping[int, bytes]) -> bool:
    """Do all pieces belong to one codeword? Any k of them always do."""
    first = sorted(pieces)[: code.needed]
    others = [index for index in pieces if index not in first]
    restored = code.restore({index: pieces[index] for index in first}, others)
    return all(restored[index] == pieces[index] for index in others)


def odd_ones(code: Coder, pieces: Mapping[int, bytes]) -> Sequence[int]:
    """The pieces without which all others agree: a single one is the wrong one."""
    if len(pieces) < code.needed + 2:
        return []
    return [
        index
        for index in sorted(pieces)
        if agree(code, {each: piece for each, piece in pieces.items() if each != index})
    ]
