"""The cluster's drives as a gateway sees them."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from uuid import uuid4

import psycopg
import pytest

from core import config as configuration
from core.config import config
from core.database import Lanes
from core.errors import DriveGone
from storage_nodes.inventory import Inventory
from storage_nodes.shard_name import ShardName
from storage_nodes.stores.base import ShardStore
from storage_nodes.stores.http import HttpShardStore
from storage_nodes.stores.local import LocalShardStore
from tests.support.nodes import RunningNode, eventually, make_known, running_node
from tests.support.shard_stores import content, publish

pytestmark = pytest.mark.cluster
Rows = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="module")
def node() -> Iterator[RunningNode]:
    with running_node(drives=2) as running:
        yield running


@asynccontextmanager
async def inventory(node: RunningNode, rows: Rows, **nodes: object) -> AsyncIterator[Inventory]:
    make_known(rows, node)
    settings = {"key_file": node.home / "keys" / "node.key", **nodes}
    with configuration.override(nodes=settings):
        lanes = Lanes(config().database, misc=1)
        opened = await Inventory.open(lanes, config())
        yield opened
        await opened.close()
        await lanes.close()


async def roundtrip(store: ShardStore) -> bytes:
    name = ShardName(uuid4(), 1, 0)
    await publish(store, name, b"bytes")
    return await content(store, name)


def local(store: ShardStore) -> LocalShardStore:
    assert isinstance(store, LocalShardStore)
    return store


async def test_a_drive_of_this_host_is_reached_by_descriptors(
    node: RunningNode, rows: Rows
) -> None:
    async with inventory(node, rows) as found:
        for drive_id in found.drives:
            store = found.store(drive_id)
            assert isinstance(store, LocalShardStore)
            assert await roundtrip(store) == b"bytes"
        assert found.cluster == node.key.cluster


async def test_a_drive_of_another_host_is_reached_by_http(node: RunningNode, rows: Rows) -> None:
    async with inventory(node, rows) as found:
        rows.execute("update node set host = 'another'")
        await found.refresh()
        for drive_id in found.drives:
            store = found.store(drive_id)
            assert isinstance(store, HttpShardStore)
            assert await roundtrip(store) == b"bytes"


async def test_descriptors_can_be_switched_off(node: RunningNode, rows: Rows) -> None:
    async with inventory(node, rows, descriptors=False) as found:
        assert all(isinstance(found.store(one), HttpShardStore) for one in found.drives)


async def test_all_drives_of_this_host_share_one_ring(node: RunningNode, rows: Rows) -> None:
    async with inventory(node, rows) as found:
        rings = {local(found.store(drive_id)).ring for drive_id in found.drives}

    assert len(rings) == 1
    (ring,) = rings
    if ring is None:
        pytest.skip("this kernel or sandbox gives no io_uring")
    assert ring.write(0, 0, [bytearray(1)], 0) is None  # closed with the inventory


async def test_rings_can_be_switched_off(node: RunningNode, rows: Rows) -> None:
    async with inventory(node, rows, io_uring=False) as found:
        for drive_id in found.drives:
            store = local(found.store(drive_id))
            assert store.ring is None
            assert await roundtrip(store) == b"bytes"


async def test_a_drive_keeps_its_store_while_nothing_changes(node: RunningNode, rows: Rows) -> None:
    async with inventory(node, rows) as found:
        before = {one: found.store(one) for one in found.drives}
        await found.refresh()

        assert {one: found.store(one) for one in found.drives} == before


@pytest.mark.parametrize(
    "change",
    [
        "update drive set state = 'fenced'",
        "update drive set state = 'draining'",
        "update drive set state = 'gone'",
        "update drive set weight = 0",
        "update drive set free_bytes = 0",
        "update node set state = 'down'",
        "update drive set state = 'removed'",
    ],
)
async def test_only_drives_that_can_take_a_segment_are_healthy(
    node: RunningNode, rows: Rows, change: str
) -> None:
    async with inventory(node, rows) as found:
        assert len(found.healthy()) == 2

        rows.execute(change)  # type: ignore[call-overload]  # one of the statements above
        await found.refresh()
        assert found.healthy() == []


@pytest.mark.parametrize("state", ["fenced", "draining"])
async def test_drives_that_take_nothing_new_are_still_read(
    node: RunningNode, rows: Rows, state: str
) -> None:
    async with inventory(node, rows) as found:
        rows.execute("update drive set state = %s", (state,))
        await found.refresh()

        assert all(found.store(one) is not None for one in found.drives)


@pytest.mark.parametrize("state", ["gone", "removed"])
async def test_a_drive_that_is_not_there_is_not_asked(
    node: RunningNode, rows: Rows, state: str
) -> None:
    async with inventory(node, rows) as found:
        numbers = list(found.drives)
        rows.execute("update drive set state = %s", (state,))
        await found.refresh()

        for number in [*numbers, 12345]:
            with pytest.raises(DriveGone):
                found.store(number)


async def test_changes_are_seen_without_being_told(node: RunningNode, rows: Rows) -> None:
    async with inventory(node, rows) as found:
        rows.execute("update drive set weight = 7")

        async def weights() -> set[float]:
            return {drive.weight for drive in found.drives.values()}

        await eventually(weights, {7.0})
