"""The whole data path in one process: verbs, real segments over drives in memory, real PostgreSQL.

Packs, coded segments, sealing, leases and reads are the real ones; only the drives are
dictionaries, so that a test can take one away, hold it back or let it fail.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from core.config import override
from core.database import Lanes
from core.names import new_id
from objects.store import Store
from storage_nodes.segment_rows import SegmentRows
from storage_nodes.segments import Segments
from tests.support.namespace import Verbs, new_bucket, new_tenant
from tests.support.segments import MemoryFleet

# A starved machine is slow, not broken.
_PATIENCE = {
    "connect_timeout_s": 120.0,
    "answer_timeout_s": 600.0,
    "idle_transaction_s": 600.0,
    "lock_timeout_s": 60.0,
}


class DataPath(Verbs):
    """A store with drives."""

    def __init__(
        self, store: Store, segments: Segments, fleet: MemoryFleet, access_key: str, bucket: str
    ) -> None:
        super().__init__(store, access_key, bucket)
        self.segments = segments
        self.fleet = fleet


@asynccontextmanager
async def datapath(
    drives: int = 12,
    coding: Mapping[str, object] | None = None,
    packing: Mapping[str, object] | None = None,
) -> AsyncIterator[DataPath]:
    """A store over `drives` drives in three zones, with a tenant and a bucket of its own."""
    unhurried = {"lease_s": 600.0, "lag_s": 600.0, **(packing or {})}
    with override(database=_PATIENCE, coding=coding or {}, packing=unhurried) as settings:
        pass
    lanes, leases = Lanes(settings.database), Lanes(settings.database, misc=1)
    fleet = MemoryFleet(drives)
    rows = SegmentRows(lanes, leases, owner=f"test-{new_id()}", lease_s=600.0)
    segments = Segments(rows, fleet, settings)
    segments.start()
    store = Store(settings, lanes, segments)
    try:
        owner = await new_tenant(store)
        bucket = await new_bucket(store, owner)
        yield DataPath(store, segments, fleet, owner.access_key, bucket)
    finally:
        await store.close()
        await leases.close()
