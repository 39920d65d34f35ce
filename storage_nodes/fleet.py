"""What writers and readers of segments must know of the cluster's drives, as one small interface.

`inventory` keeps the real one fresh from the database; tests put drives in memory behind it.
"""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

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
