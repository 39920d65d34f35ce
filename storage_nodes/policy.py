"""Storage policies by name: how many drives hold a segment, and how many of them must answer.

Here: the arithmetic of `ec-K-M` and `rep-N[-W-R]`. Not here: which drives (placement), the code
itself (coding). Pure. Ask a policy for its numbers, never for its kind.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from core.errors import InvalidArgument

Layout = Literal["replicated", "coded"]
Ack = Literal["fast", "strict"]

# What the console and the documentation offer; any other k+m or N/W/R works by its name as well.
OFFERED = ("ec-6-3", "ec-4-2", "ec-8-4", "ec-10-4", "rep-3")

# A shard index must fit the code's matrix tests and a row's array; the field is GF(2^8).
MAX_WIDTH = 32
# Copies of a pack segment before it is coded: what DESIGN calls three drives in three zones.
STAGED_COPIES = 3

_CODED = re.compile(r"ec-([1-9][0-9]?)-([1-9][0-9]?)", re.ASCII)
_REPLICATED = re.compile(r"rep-([1-9][0-9]?)(?:-([1-9][0-9]?)-([1-9][0-9]?))?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoragePolicy:
    """The numbers of one policy. `width` shards on as many drives; any `needed` give the bytes."""

    name: str
    layout: Layout  # of a segment that has come to rest
    width: int
    needed: int
    write_quorum: int  # shards that must be durable before a segment in `layout` is acknowledged
    copies: int  # drives a pack segment is appended to
    copies_fast: int  # of which so many must be durable before a write is acknowledged

    @property
    def parity(self) -> int:
        """Shards that may be lost; no zone should hold more."""
        return self.width - self.needed

    @property
    def zone_cap(self) -> int:
        """Shards one zone should hold at most, so that losing the zone loses no segment."""
        return self.parity if self.layout == "coded" else 1

    def acknowledged_copies(self, ack: Ack) -> int:
        """Durable copies of a pack segment that make a write."""
        return self.copies if ack == "strict" else self.copies_fast

    def staged(self) -> "StoragePolicy":
        """The replicated policy a segment lives under until it is coded; itself if it never is."""
        if self.layout == "replicated":
            return self
        return _replicated(self.name, self.copies, self.copies_fast)


@lru_cache(maxsize=256)
def policy(name: str) -> StoragePolicy:
    """The policy called `name`; InvalidArgument says what is wrong with it."""
    if match := _CODED.fullmatch(name):
        return _coded(name, int(match[1]), int(match[2]))
    if match := _REPLICATED.fullmatch(name):
        copies = int(match[1])
        write = int(match[2]) if match[2] else copies // 2 + 1
        read = int(match[3]) if match[3] else copies + 1 - write
        return _checked_replicated(name, copies, write, read)
    raise InvalidArgument(
        "A storage policy is called ec-K-M, rep-N or rep-N-W-R, as in ec-6-3 or rep-3.",
        storage_policy=name,
    )


def _coded(name: str, needed: int, parity: int) -> StoragePolicy:
    width = needed + parity
    if needed < 2 or width > MAX_WIDTH:
        raise InvalidArgument(
            f"An erasure code has at least 2 data shards and at most {MAX_WIDTH} shards in all.",
            storage_policy=name,
        )
    return StoragePolicy(
        name=name,
        layout="coded",
        width=width,
        needed=needed,
        # One lost shard never makes an acknowledged segment unreadable, and at most one is owed.
        write_quorum=max(needed + 1, width - 1),
        copies=STAGED_COPIES,
        copies_fast=2,
    )


def _checked_replicated(name: str, copies: int, write: int, read: int) -> StoragePolicy:
    if copies > MAX_WIDTH or not write <= copies or not read <= copies or write + read <= copies:
        raise InvalidArgument(
            f"Copies are at most {MAX_WIDTH}, W and R at most N, and W + R more than N.",
            storage_policy=name,
        )
    return _replicated(name, copies, write)


def _replicated(name: str, copies: int, write: int) -> StoragePolicy:
    return StoragePolicy(
        name=name,
        layout="replicated",
        width=copies,
        needed=1,
        write_quorum=write,
        copies=copies,
        copies_fast=write,
    )
