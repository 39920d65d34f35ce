"""What a verification says: what was wrong where, how much was read, how fast that may go.

Here: values, the throttle, and telling whose file a header names. Not here: reading (`coded`,
`copies`), rows (`rows`), the order of things (`walk`).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from core import clock
from core.errors import (
    BadFormat,
    DriveGone,
    NodeUnreachable,
    ShardCorrupt,
    ShardMissing,
    StoreError,
)
from storage_nodes.shard_file import HEADER_SIZE, ShardHeader, parse_header
from storage_nodes.shard_name import ShardName
from storage_nodes.stores.base import ShardReader, ShardStore

Kind = Literal[
    "missing",  # not where its segment's row says, or on no drive yet
    "truncated",  # shorter than it must be
    "corrupt",  # a part of it does not verify
    "swapped",  # whole perhaps, but another shard's file
    "stale",  # of another layout of its segment
    "unreadable",  # its drive gives an error
    "unreachable",  # its drive or node does not answer: nothing is known of it
    "inconsistent",  # every block verifies, yet parity and data do not belong together
    "orphan",  # no row names the file
]
# What a repair can mend.
OWED: frozenset[Kind] = frozenset(
    {"missing", "truncated", "corrupt", "swapped", "stale", "unreadable"}
)

Store = Callable[[int], ShardStore]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be."""

    kind: Kind
    segment: UUID
    epoch: int
    index: int | None  # None: the segment as a whole
    drive: int | None
    detail: str
    owed: bool = False  # a repair is owed for it

    def sentence(self) -> str:
        """The finding for people."""
        what = f"Segment {self.segment}" if self.index is None else f"Shard {self.index}"
        of = "" if self.index is None else f" of segment {self.segment}, epoch {self.epoch},"
        where = f" on drive {self.drive}" if self.drive else ""
        then = " Its repair is owed." if self.owed else ""
        if self.kind == "orphan":
            return f"File {self.segment.hex}.{self.epoch}.{self.index}{where}: {self.detail}"
        return f"{what}{of}{where} is {self.kind}: {self.detail}{then}"


@dataclass(slots=True)
class Tally:
    """How much has been read."""

    segments: int = 0
    shards: int = 0
    blocks: int = 0
    records: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Throttle:
    """Counts what is read, keeps below a rate, and lets somebody watch.

    One second's worth may be read at once; `rate` is in bytes per second, None: as fast as can be.
    """

    tally: Tally = field(default_factory=Tally)
    rate: float | None = None
    watch: Callable[[Tally], None] | None = None
    _free_at: float = field(default_factory=clock.monotonic)

    async def took(self, count: int) -> None:
        """So many bytes have been read; waits when that was too fast."""
        self.tally.bytes += count
        if self.watch is not None:
            self.watch(self.tally)
        if self.rate is None:
            return
        now = clock.monotonic()
        self._free_at = max(self._free_at, now - 1.0) + count / self.rate
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)


class Bad(Exception):
    """The shard at hand is not what it should be."""

    def __init__(self, kind: Kind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


def judged(why: Exception) -> Bad:
    """What an error of a drive says about the shard."""
    if isinstance(why, Bad):
        return why
    if isinstance(why, ShardMissing):
        return Bad("missing", "It is not there.")
    says = why.message if isinstance(why, StoreError) else str(why)
    return Bad(
        "unreachable" if isinstance(why, DriveGone | NodeUnreachable) else "unreadable", says
    )


async def check_header(reader: ShardReader, expected: ShardHeader) -> None:
    """Raise `Bad` unless the file says of itself what its name and its segment's row say."""
    block = await reader.read(0, HEADER_SIZE)
    if len(block) < HEADER_SIZE:
        raise Bad("truncated", f"It has {reader.size} bytes, less than a header.")
    try:
        found = parse_header(block)
    except (ShardCorrupt, BadFormat) as why:
        raise Bad("corrupt", why.message) from why
    if found.cluster != expected.cluster:
        raise Bad("swapped", f"It is a file of cluster {found.cluster}.")
    if found.name != expected.name:
        raise Bad(*_stranger(found.name, expected.name))
    if found != expected:
        raise Bad("corrupt", "Its header does not describe the layout of its segment.")


def _stranger(found: ShardName, expected: ShardName) -> tuple[Kind, str]:
    if found.segment == expected.segment and found.index == expected.index:
        return "stale", f"It is of epoch {found.epoch}."
    return "swapped", f"It is {found}."
