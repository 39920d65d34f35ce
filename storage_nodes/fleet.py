"""What writers and readers of segments must know of the cluster's drives, as one small interface.

`inventory` keeps the real one fresh from the database; tests put drives in memory behind it.
`Avoided` remembers, in this process, the drives that failed a moment ago.
"""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from core import clock
from storage_nodes.placement import Candidate
from storage_nodes.stores.base import ShardStore


class Fleet(Protocol):
    """The drives of the cluster, by their numbers."""

    @property
    def cluster(self) -> UUID:
        """Written into every shard's header."""

    def healthy(self) -> Sequence[Candidate]:
        """Drives that may be given new shards."""

    def store(self, drive_id: int) -> ShardStore:
        """One drive; raises DriveGone for one that cannot be reached at all."""


# A drive that failed a write is passed over for so long, if there are others: the cluster's view of
# it is a few seconds old.
AVOID_S = 10.0


class Avoided:
    """Drives that failed a moment ago."""

    def __init__(self) -> None:
        self._until: dict[int, float] = {}

    def add(self, drive_id: int) -> None:
        self._until[drive_id] = clock.monotonic() + AVOID_S

    def filter(self, drives: Sequence[Candidate], wanted: int) -> Sequence[Candidate]:
        """The drives without those, unless that leaves fewer than are wanted."""
        now = clock.monotonic()
        good = [drive for drive in drives if self._until.get(drive.id, 0.0) <= now]
        return good if len(good) >= wanted else drives
