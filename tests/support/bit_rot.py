"""Rot in the files of a live store: put there by kind and seed.

Here: the kinds of damage, within what segments can bear. Not here: the objects that are hurt
(`resting`), what must come of it (`rot_judgement`), how many rounds (the tests and `make chaos` say
so).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from storage_nodes.pack_format import RECORD_HEADER
from storage_nodes.shard_file import HEADER_SIZE, BlockSums, ShardHeader, parse_header
from storage_nodes.shard_name import ShardName
from tests.support.at_rest import Range, Segment
from tests.support.local_store import LocalStore
from tests.support.resting import Resting

PAGE = 4096


class Unbearable(Exception):
    """No segment can bear any more of that."""


@dataclass(frozen=True, slots=True)
class Harm:
    """One shard hurt, and what must be said of it."""

    kind: str
    segment: UUID
    index: int
    drive: int
    finding: str
    is_met: bool  # a GET of every object must meet it


class Rot(Resting):
    """Objects of one store, and what is done to the files that hold them."""

    def __init__(self, store: LocalStore, seed: int) -> None:
        super().__init__(store, seed)
        self.harms: list[Harm] = []

    def hurt(self, kinds: Sequence[str]) -> None:
        """Each kind once, on shards the seed chooses, within what the segments can bear."""
        for kind in kinds:
            KINDS[kind](self, kind)

    def hurt_fully(self, kinds: Sequence[str], duplicates: int = 3) -> None:
        """Kinds the seed chooses, until no segment can bear any more."""
        left = sorted(set(kinds) - {"duplicate"})
        while left:
            kind = self.chance.choice(left)
            try:
                KINDS[kind](self, kind)
            except Unbearable:
                left.remove(kind)
        self.hurt(["duplicate"] * duplicates)

    def choose(
        self, suits: Callable[[Segment, int], object] = lambda *_: True, *, width: int = 1
    ) -> tuple[Segment, list[int]]:
        """A segment that can bear it, and `width` of its shards."""
        able = []
        for segment in self.segments:
            indexes = [index for index in segment.unhurt() if suits(segment, index)]
            if segment.budget >= width and len(indexes) >= width:
                able.append((segment, indexes))
        if not able:
            raise Unbearable
        segment, indexes = self.chance.choice(able)
        chosen = self.chance.sample(indexes, width)
        segment.hurt.update(chosen)
        return segment, chosen

    def note(self, kind: str, segment: Segment, index: int, finding: str, is_met: bool) -> None:
        drive = segment.drives[index]
        self.harms.append(Harm(kind, segment.id, index, drive, finding, is_met))

    def flip(self, kind: str) -> None:
        """One bit: of data a GET reads, of parity, of the header, of table or trailer."""
        suits: dict[str, Callable[[Segment, int], object]] = {
            "flip data": lambda segment, index: segment.live(index),
            "flip parity": lambda segment, index: index >= segment.needed,
        }
        segment, (index,) = self.choose(suits.get(kind, lambda *_: True))
        places: dict[str, list[Range]] = {
            "flip data": [(HEADER_SIZE + a, HEADER_SIZE + b) for a, b in segment.live(index)],
            "flip record header": [
                (HEADER_SIZE + extent.offset, HEADER_SIZE + extent.offset + RECORD_HEADER)
                for extent in segment.extents
            ],
            "flip parity": [(HEADER_SIZE, HEADER_SIZE + segment.payload)],
            "flip header": [(0, HEADER_SIZE)],
            "flip footer": [(HEADER_SIZE + segment.payload, len(self.before[segment.id, index]))],
        }
        at = self.chance.randrange(*self.chance.choice(places[kind]))
        with self.path(segment, index).open("r+b") as file:
            file.seek(at)
            was = file.read(1)[0]
            file.seek(at)
            file.write(bytes([was ^ 1 << self.chance.randrange(8)]))
        is_met = kind == "flip data" and segment.layout == "coded"
        self.note(kind, segment, index, "corrupt", is_met)

    def zero(self, kind: str) -> None:
        """A page of what is read, or of parity, is zeros."""
        segment, (index,) = self.choose(lambda s, i: s.live(i) or i >= s.needed)
        live = segment.live(index)
        was, matters = self.before[segment.id, index], b""
        while not any(matters):
            start, stop = self.chance.choice(live or [(0, segment.payload)])
            page = self.chance.randrange(start // PAGE, -(-stop // PAGE)) * PAGE
            first, last = max(start, page), min(stop, page + PAGE)
            matters = was[HEADER_SIZE + first : HEADER_SIZE + last]
        with self.path(segment, index).open("r+b") as file:
            file.seek(HEADER_SIZE + page)
            file.write(bytes(min(PAGE, segment.payload - page)))
        self.note(kind, segment, index, "corrupt", bool(live) and segment.layout == "coded")

    def truncate(self, kind: str) -> None:
        """It ends early."""
        segment, (index,) = self.choose()
        end = HEADER_SIZE + segment.payload
        size = len(self.before[segment.id, index]) if segment.layout == "coded" else end
        left = self.chance.randrange(size)
        os.truncate(self.path(segment, index), left)
        self.note(kind, segment, index, "truncated", self._reads_end(segment, index, left))

    def delete(self, kind: str) -> None:
        segment, (index,) = self.choose()
        self.path(segment, index).unlink()
        self.note(kind, segment, index, "missing", self._reads_end(segment, index, 0))

    def swap(self, kind: str) -> None:
        """Two files change places: of one segment, or of two."""
        if kind == "swap within":
            one, (first, second) = self.choose(width=2)
            other = one
        else:
            one, (first,) = self.choose()
            try:
                other, (second,) = self.choose(lambda segment, _: segment.id != one.id)
            except Unbearable:
                one.hurt.discard(first)
                raise
        here, there = self.path(one, first), self.path(other, second)
        aside = here.with_name("aside")
        here.rename(aside)
        there.rename(here)
        aside.rename(there)
        for segment, index in ((one, first), (other, second)):
            self.note(kind, segment, index, "swapped", self._reads_end(segment, index, 0))

    def stale(self, kind: str) -> None:
        """The file of an older layout under the name of this one, whole in itself."""
        segment, (index,) = self.choose()
        path = self.path(segment, index)
        now = parse_header(self.before[segment.id, index])
        older = ShardName(segment.id, segment.epoch - 1, index)
        header = ShardHeader(
            cluster=now.cluster,
            name=older,
            layout=now.layout,
            needed=now.needed,
            parity=now.parity,
            cell_size=now.cell_size,
        )
        payload = self.chance.randbytes(segment.payload)
        sums = BlockSums(older)
        sums.update(payload)
        footer = sums.footer(segment.size).pack(older) if segment.layout == "coded" else b""
        path.write_bytes(header.pack() + payload + footer)
        self.note(kind, segment, index, "stale", self._reads_end(segment, index, 0))

    def duplicate(self, kind: str) -> None:
        """The same file on a second drive as well. Nothing is lost by it."""
        segment = self.chance.choice(self.segments)
        index = self.chance.randrange(len(segment.drives))
        drive = self.chance.choice(sorted(self.folders.keys() - set(segment.drives)))
        path = self.folders[drive] / ShardName(segment.id, segment.epoch, index).path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.before[segment.id, index])
        self.harms.append(Harm(kind, segment.id, index, drive, "orphan", False))

    def tail(self) -> str:
        return f"{self.harms}\n{super().tail()}"

    def _reads_end(self, segment: Segment, index: int, left: int) -> bool:
        """Is something that a GET reads gone when only `left` bytes of the file are?"""
        ends = [HEADER_SIZE + stop for _, stop in segment.live(index)]
        return segment.layout == "coded" and any(end > left for end in ends)


KINDS: dict[str, Callable[[Rot, str], None]] = {
    "flip data": Rot.flip,
    "flip record header": Rot.flip,
    "flip parity": Rot.flip,
    "flip header": Rot.flip,
    "flip footer": Rot.flip,
    "zero": Rot.zero,
    "truncate": Rot.truncate,
    "delete": Rot.delete,
    "swap within": Rot.swap,
    "swap between": Rot.swap,
    "stale": Rot.stale,
    "duplicate": Rot.duplicate,
}
OF_CODED = [kind for kind in KINDS if kind != "flip record header"]
OF_COPIES = [kind for kind in KINDS if kind not in ("flip parity", "flip footer")]
