"""A coded layout, and what follows from it: its shards' names, headers and lengths. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from storage_nodes.policy import StoragePolicy
from storage_nodes.shard_file import ShardHeader
from storage_nodes.shard_name import ShardName
from storage_nodes.striping import Striping


@dataclass(frozen=True, slots=True, kw_only=True)
class CodedLayout:
    """Which shards on which drives: as its row says it is, or as it is to be written."""

    cluster: UUID
    segment: UUID
    epoch: int
    policy: StoragePolicy
    cell_size: int
    size: int
    drives: Sequence[int]

    def name(self, index: int) -> ShardName:
        return ShardName(self.segment, self.epoch, index)

    @property
    def shard_length(self) -> int:
        return Striping(self.size, self.policy.needed, self.cell_size).shard_length

    def header(self, index: int) -> ShardHeader:
        return ShardHeader(
            cluster=self.cluster,
            name=self.name(index),
            layout="coded",
            needed=self.policy.needed,
            parity=self.policy.parity,
            cell_size=self.cell_size,
        )
