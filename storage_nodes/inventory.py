"""The cluster's drives as this process knows them, fresh to a second, and a store for each.

Here: reading the rows, choosing the way to a drive (descriptors on this host, else HTTP).
Not here: finding out how drives are (`health`), which ones to use (`placement`).

When the database does not answer, the last view stays: drives that fail say so themselves.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psycopg

from core.config import Config, Nodes
from core.database import MISC, Lanes
from core.errors import DriveGone, StoreError
from core.ring import Ring
from storage_nodes.node.disk import Disk
from storage_nodes.node.host import this_host
from storage_nodes.node.keyfile import NodeKey, load
from storage_nodes.stores.base import ShardStore
from storage_nodes.stores.http import HttpNode, HttpShardStore
from storage_nodes.stores.local import LocalShardStore

log = logging.getLogger(__name__)
_REFRESH_S = 1.0

DRIVES = """
    SELECT d.id, d.uuid, d.state, d.weight, d.size_bytes, d.free_bytes, d.device,
           n.id, n.zone_id, n.address, n.socket, n.host, n.state
      FROM drive d JOIN node n ON n.id = d.node_id WHERE d.state <> 'removed' ORDER BY d.id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveView:
    """One drive's row, with what matters of its node's."""

    id: int
    uuid: UUID
    state: str
    weight: float
    size_bytes: int
    free_bytes: int
    device: int | None
    node: UUID
    zone: int
    address: str
    socket: str | None
    host: str
    node_state: str

    @property
    def disk(self) -> tuple[str, int]:
        """The physical disk: drives of one file system share it."""
        return self.host, self.device if self.device is not None else -self.id

    def can_take(self, segment_size: int) -> bool:
        """Whether new shards may be placed here."""
        return (
            self.state == "active"
            and self.node_state == "up"
            and self.weight > 0
            and self.free_bytes >= segment_size
        )


async def count_active(lanes: Lanes) -> int:
    """How many drives take shards."""
    rows = await lanes.fetch(MISC, "SELECT count(*) FROM drive WHERE state = 'active'")
    count: int = rows[0][0]
    return count


class Inventory:
    """The drives of the cluster (a `Fleet`). Belongs to one event loop."""

    def __init__(
        self, lanes: Lanes, config: Config, key: NodeKey, patience_s: float | None = None
    ) -> None:
        self.drives: dict[int, DriveView] = {}
        self._lanes = lanes
        self._settings = config.nodes
        self._segment_size = config.coding.segment_size
        self._healthy: list[DriveView] = []
        disk = Disk(skip_fsync=config.proof.skip_fsync)
        self._routes = _Routes(config.nodes, key, disk, patience_s)
        self._key = key
        self._refreshing: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls, lanes: Lanes, config: Config, *, patience_s: float | None = None
    ) -> "Inventory":
        """Read the rows once, then each second until `close`. With `patience_s` a drive of this
        host is not waited for longer, operation by operation.
        """
        inventory = cls(lanes, config, load(config.nodes.key_file), patience_s)
        await inventory.refresh()
        inventory._refreshing = asyncio.create_task(inventory._keep_fresh())
        return inventory

    @property
    def cluster(self) -> UUID:
        return self._key.cluster

    def healthy(self) -> list[DriveView]:
        """Drives that may be given new shards."""
        return self._healthy

    def store(self, drive_id: int) -> ShardStore:
        """The way to one drive; DriveGone for one that is gone, removed or unknown."""
        view = self.drives.get(drive_id)
        if view is None or view.state == "gone":
            raise DriveGone(drive=drive_id)
        return self._routes.to(view)

    async def refresh(self) -> None:
        """Read the rows now."""
        rows = await self._lanes.fetch(MISC, DRIVES)
        self.drives = {row[0]: drive_view(row) for row in rows}
        self._healthy = [one for one in self.drives.values() if one.can_take(self._segment_size)]
        await self._routes.forget_all_but(self.drives)

    async def close(self) -> None:
        if self._refreshing is not None:
            self._refreshing.cancel()
            with suppress(asyncio.CancelledError):
                await self._refreshing
        await self._routes.close()

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(_REFRESH_S)
            try:
                await self.refresh()
            except (StoreError, psycopg.Error) as error:
                log.warning("drives not refreshed", extra={"why": str(error)})


class _Routes:
    """A store per drive and the connections per node, made on first use."""

    def __init__(self, settings: Nodes, key: NodeKey, disk: Disk, patience_s: float | None) -> None:
        self._settings = settings
        self._secret = key.secret
        self._disk = disk
        self._patience_s = patience_s
        # A ring is for the packs of gateways, who have ways of their own not to wait for a drive.
        wants_ring = settings.io_uring and patience_s is None
        self._ring = Ring.open() if wants_ring else None
        if wants_ring and self._ring is None:
            log.info("writes take threads: this kernel or sandbox gives no io_uring")
        self._host = this_host()
        self._nodes: dict[str, HttpNode] = {}
        # Drive id -> what its store was made from, and the store.
        self._stores: dict[int, tuple[object, ShardStore]] = {}
        self._outdated: list[ShardStore] = []

    def to(self, view: DriveView) -> ShardStore:
        known = self._stores.get(view.id)
        wanted = self._way(view)
        if known is not None and known[0] == wanted:
            return known[1]
        if known is not None:
            self._outdated.append(known[1])
        store = self._make(view, wanted)
        self._stores[view.id] = (wanted, store)
        return store

    async def forget_all_but(self, drives: dict[int, DriveView]) -> None:
        """Close what no drive needs any more."""
        for drive_id in set(self._stores) - set(drives):
            self._outdated.append(self._stores.pop(drive_id)[1])
        while self._outdated:
            await self._outdated.pop().close()
        needed = {view.address for view in drives.values()}
        for address in set(self._nodes) - needed:
            await self._nodes.pop(address).close()

    async def close(self) -> None:
        """For good."""
        await self.forget_all_but({})
        if self._ring is not None:
            self._ring.close()

    def _way(self, view: DriveView) -> tuple[UUID, str | Path]:
        """Which drive, and the socket or address that leads to it."""
        if self._settings.descriptors and view.socket and view.host == self._host:
            return view.uuid, Path(view.socket)
        return view.uuid, view.address

    def _make(self, view: DriveView, way: tuple[UUID, str | Path]) -> ShardStore:
        timeout_s = self._settings.request_timeout_s
        _, leads = way
        if isinstance(leads, Path):
            return LocalShardStore(
                view.uuid,
                socket=leads,
                secret=self._secret,
                timeout_s=timeout_s,
                disk=self._disk,
                ring=self._ring,
                patience_s=self._patience_s,
            )
        node = self._nodes.get(leads)
        if node is None:
            node = HttpNode(leads, secret=self._secret, timeout_s=timeout_s)
            self._nodes[leads] = node
        return HttpShardStore(view.uuid, node)


def drive_view(row: tuple[object, ...]) -> DriveView:
    """The drive in a row of `DRIVES`."""
    names = tuple(DriveView.__slots__)
    return DriveView(**dict(zip(names, row, strict=True)))  # type: ignore[arg-type]  # the order of DRIVES
