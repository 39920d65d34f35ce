"""Where bytes are: what a look-up hands to the reader, and what an append hands to the commit.

`Located` is a hint: what it says may have been replaced since (a newer epoch), and the reader then
asks once for a fresh one. `Stored` is a promise not yet kept: durable bytes no extent names so far.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID


@dataclass(slots=True, eq=False)
class Located:
    """One extent and the segment it lies in. The extent's bytes count from 0 to `length`."""

    segment_id: UUID
    layout: str  # 'replicated' or 'coded'
    state: str
    epoch: int
    drives: Sequence[int]
    size: int
    cell_size: int | None
    policy: str
    offset: int  # of the record, or of the first byte where there is none
    record_size: int | None  # payload bytes of the whole record; None: raw bytes
    skip: int  # where in the record's payload the extent starts
    length: int
    confirmed: Sequence[int] | None = None  # durable bytes of each copy; None: not known


@dataclass(slots=True, eq=False)
class Stored:
    """Durable bytes. The commit admits them if the segment still is `kind` in `epoch`.

    Whoever received it calls `settle` once the commit's outcome is known, whatever it is: until
    then the segment's owner puts off sealing it.
    """

    segment_id: UUID
    offset: int
    record_size: int | None
    length: int
    epoch: int
    kind: Literal["open", "writing"]
    copies: int  # durable copies (or shards) known when it was acknowledged
    on_settled: Callable[[], None] | None = None

    def settle(self) -> None:
        """The commit has succeeded or failed. Harmless when repeated."""
        done, self.on_settled = self.on_settled, None
        if done is not None:
            done()
