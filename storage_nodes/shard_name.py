"""How a file is called, on a drive and between machines: shards, and files of the journal.

A shard is named by its segment, the layout epoch it was written in and its index, a journal file
by its number and a random one; rival attempts therefore never collide. User keys never become
paths.
"""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias
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

    @property
    def scope(self) -> str:
        """What a capability for it names."""
        return f"{self.segment.hex}:{self.epoch}"

    @classmethod
    def parse(cls, text: str) -> "ShardName":
        """The name written as `text`; ValueError for anything else than the canonical form."""
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise ValueError(f"not a shard name: {text[:80]!r}")
        return cls(UUID(hex=match[1]), int(match[2]), int(match[3]))


JOURNAL = "journal"
_JOURNAL_PATTERN = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})\.(jrn|snap)", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class JournalName:
    """Number, attempt and kind of one file of the journal."""

    number: int
    attempt: int
    kind: Literal["jrn", "snap"]

    def __str__(self) -> str:
        return f"{self.number:016x}-{self.attempt:016x}.{self.kind}"

    @property
    def folder(self) -> str:
        return JOURNAL

    @property
    def path(self) -> str:
        """Where the file lies, relative to its drive."""
        return f"{JOURNAL}/{self}"

    @property
    def scope(self) -> str:
        """What a capability for it names."""
        return f"{JOURNAL}:{self.number}"

    @classmethod
    def parse(cls, text: str) -> "JournalName":
        """The name written as `text`; ValueError for anything else than the canonical form."""
        match = _JOURNAL_PATTERN.fullmatch(text)
        if match is None:
            raise ValueError(f"not the name of a journal file: {text[:80]!r}")
        kind: Literal["jrn", "snap"] = "jrn" if match[3] == "jrn" else "snap"
        return cls(int(match[1], 16), int(match[2], 16), kind)


FileName: TypeAlias = ShardName | JournalName


def parse_name(text: str) -> FileName:
    """The name of any file a drive keeps; ValueError for anything else."""
    return JournalName.parse(text) if "-" in text else ShardName.parse(text)


def first_copy(segment: UUID, copies: int) -> int:
    """The index of the copy that readers of a replicated segment turn to first.

    Its writer leaves that one in the page cache, and only that one.
    """
    return segment.int % copies
