"""How a shard file is called, on a drive and between machines.

A shard is named by its segment, the layout epoch it was written in and its index; rival attempts
at one layout therefore never collide. User keys never become paths.
"""

import re
from dataclasses import dataclass
from uuid import UUID

# Longest forms first refused: an epoch is a PostgreSQL integer, an index is below 32 shards or
# a copy number; ten and four digits bound what a peer may make us create.
_PATTERN = re.compile(r"([0-9a-f]{32})\.(0|[1-9][0-9]{0,9})\.(0|[1-9][0-9]{0,3})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class ShardName:
    """Segment, layout epoch and index of one shard."""

    segment: UUID
    epoch: int
    index: int

    def __str__(self) -> str:
        return f"{self.segment.hex}.{self.epoch}.{self.index}"

    @property
    def folder(self) -> str:
        """Two fan-out levels from the tail of the id: the head of a UUIDv7 is the time."""
        digits = self.segment.hex
        return f"shards/{digits[-2:]}/{digits[-4:-2]}"

    @property
    def path(self) -> str:
        """Where the shard lies, relative to its drive."""
        return f"{self.folder}/{self}"

    @classmethod
    def parse(cls, text: str) -> "ShardName":
        """The name written as `text`; ValueError for anything else than the canonical form."""
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise ValueError(f"not a shard name: {text[:80]!r}")
        return cls(UUID(hex=match[1]), int(match[2]), int(match[3]))
