"""The drives as a worker process reaches them: opened once per process, used from its bridge loop.

Here: which drives there are, which take writes, which are lost; running byte work for a handler.
Not here: what the families do with them.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from uuid import UUID

from core import bridge
from core.config import config
from core.database import Lanes
from storage_nodes.node import keyfile
from storage_nodes.placement import Candidate
from storage_nodes.stores.base import ShardStore

Result = TypeVar("Result")

# States in which a drive's shards are to be put back elsewhere.
LOST = ("gone", "removed")
# Foreground requests go first: the families are in no hurry by the second.
NICENESS = 10


class Storage(Protocol):
    """What the families need of the cluster's drives."""

    @property
    def cluster(self) -> UUID:
        """Written into every shard's header."""

    @property
    def stores(self) -> Mapping[int, ShardStore]:
        """Every drive that can be asked."""

    def refresh(self) -> None:
        """Look at the cluster anew."""

    def writable(self) -> Sequence[Candidate]:
        """Drives that may be given shards."""

    def lost(self) -> set[int]:
        """Drives whose shards are lost."""

    def removed(self) -> set[int]:
        """Drives that will not come back."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    id: int
    zone: object
    weight: float


class ClusterStorage:
    """The real one."""

    def __init__(self) -> None:
        current = config()
        self.cluster = keyfile.load(current.nodes.key_file).cluster
        lanes = Lanes(current.database, lookup=1, commit=1, waiting=1, misc=1, name="worker")
        inventory = importlib.import_module("storage_nodes.inventory")
        self._inventory: Any = bridge.run(inventory.Inventory.open(lanes, current))

    @property
    def stores(self) -> Mapping[int, ShardStore]:
        return {
            drive_id: store
            for drive_id, store in self._inventory.stores.items()
            if self._inventory.drives[drive_id].state not in LOST
        }

    def refresh(self) -> None:
        bridge.run(self._inventory.refresh())

    def writable(self) -> Sequence[Candidate]:
        return [
            _Candidate(drive.id, drive.zone_id, drive.weight)
            for drive in self._inventory.writable()
        ]

    def lost(self) -> set[int]:
        return {drive.id for drive in self._inventory.drives.values() if drive.state in LOST}

    def removed(self) -> set[int]:
        return {d.id for d in self._inventory.drives.values() if d.state == "removed"}


_opened: tuple[int, Storage] | None = None


def storage() -> Storage:
    """This process's view of the drives, fresh."""
    global _opened
    if _opened is None or _opened[0] not in (os.getpid(), 0):
        os.nice(max(0, NICENESS - os.nice(0)))
        _opened = (os.getpid(), ClusterStorage())
    _opened[1].refresh()
    return _opened[1]


def install(given: Storage | None) -> None:
    """Use these drives in this process from now on (tests); None: open the real ones when asked."""
    global _opened
    _opened = None if given is None else (0, given)


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Byte work, done by the loop of this process; the lease is renewed meanwhile."""
    return bridge.run(work)
