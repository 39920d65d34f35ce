"""The drives as a worker process reaches them: opened once per process, used from its bridge loop.

Here: which drives there are, which take writes, which are lost; running byte work for a handler.
Not here: what the families do with them.
"""

from __future__ import annotations

import os
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Protocol, TypeVar
from uuid import UUID

from core import bridge
from core.config import config
from core.database import Lanes
from core.malloc import keep_freed_buffers
from storage_nodes.inventory import Inventory
from storage_nodes.node import keyfile
from storage_nodes.placement import Candidate
from storage_nodes.stores.base import ShardStore

Result = TypeVar("Result")

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
        """Drives that may be given shards, and answer."""

    def silent(self) -> Sequence[Candidate]:
        """Drives that might be given shards, but have let this process wait in vain."""

    def is_lost(self, drive: int) -> bool:
        """Whether its shards are to be put back elsewhere."""

    def is_removed(self, drive: int) -> bool:
        """Whether it will not come back."""


class ClusterStorage:
    """The real one."""

    def __init__(self) -> None:
        keep_freed_buffers()
        current = config()
        self.cluster = keyfile.load(current.nodes.key_file).cluster
        self.stores: dict[int, ShardStore] = {}
        lanes = Lanes(current.database, lookup=1, commit=1, waiting=1, misc=1, name="worker")
        # A drive that hangs would hold the job, and its lease be renewed, for as long as it does.
        opening = Inventory.open(lanes, current, patience_s=current.jobs.drive_timeout_s)
        self._inventory = bridge.run(opening)

    def refresh(self) -> None:
        self.stores = bridge.run(self._look())

    def writable(self) -> Sequence[Candidate]:
        return [drive for drive in self._inventory.healthy() if not self._is_silent(drive.id)]

    def silent(self) -> Sequence[Candidate]:
        return [drive for drive in self._inventory.healthy() if self._is_silent(drive.id)]

    def is_lost(self, drive: int) -> bool:
        view = self._inventory.drives.get(drive)
        return view is None or view.state == "gone"

    def is_removed(self, drive: int) -> bool:
        return drive not in self._inventory.drives

    def _is_silent(self, drive: int) -> bool:
        return drive in self.stores and self.stores[drive].is_silent

    async def _look(self) -> dict[int, ShardStore]:
        await self._inventory.refresh()
        drives = [drive for drive in self._inventory.drives if not self.is_lost(drive)]
        return {drive: self._inventory.store(drive) for drive in drives}


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
