"""How the address space of a coded segment maps to cells of its shards.

Pure arithmetic, specified in docs/formats/shard-file.md. Offsets count within a shard's payload.
"""

from collections.abc import Iterator
from dataclasses import dataclass

BLOCK = 65536  # what one checksum covers
CELL_ALIGNMENT = 4096  # short last cells stay whole disk blocks


@dataclass(frozen=True, slots=True)
class Striping:
    """One segment of `size` bytes over `needed` data shards."""

    size: int
    needed: int
    cell_size: int

    @property
    def stripe_size(self) -> int:
        return self.needed * self.cell_size

    @property
    def full_stripes(self) -> int:
        return self.size // self.stripe_size

    @property
    def tail_cell(self) -> int:
        """Length of the cells of the last, incomplete stripe; 0 when there is none."""
        rest = self.size % self.stripe_size
        return tail_cell(rest, self.needed)

    @property
    def shard_length(self) -> int:
        """Payload bytes of every shard."""
        return self.full_stripes * self.cell_size + self.tail_cell

    def pieces(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """(index, offset, length) of the data cells' parts that make up [start, stop), in order."""
        stripe_size, cell_size = self.stripe_size, self.cell_size
        full = self.full_stripes
        at = start
        while at < stop:
            stripe = at // stripe_size
            cell = cell_size if stripe < full else self.tail_cell
            within = at - stripe * stripe_size
            index, offset = divmod(within, cell)
            length = min(stop - at, cell - offset)
            yield index, stripe * cell_size + offset, length
            at += length

    def blocks(self, offset: int, length: int) -> tuple[int, int]:
        """The block-aligned range of a shard's payload that covers [offset, offset + length)."""
        start = offset - offset % BLOCK
        stop = min(-(-(offset + length) // BLOCK) * BLOCK, self.shard_length)
        return start, stop


def tail_cell(rest: int, needed: int) -> int:
    """Cell length of a last stripe that holds `rest` bytes."""
    cell = -(-rest // needed)
    return -(-cell // CELL_ALIGNMENT) * CELL_ALIGNMENT
