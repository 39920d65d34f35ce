"""Drives are lost; coded objects are read from any six shards and made whole again by themselves.

One store of fifteen drives, whose files are read here with the code a gateway reads with.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from benchmarks.client import Signer, once
from core.config import Config
from core.database import Lanes
from core.errors import DriveGone
from storage_nodes import rebuild
from storage_nodes.coded_layout import CodedLayout
from storage_nodes.inventory import Inventory
from storage_nodes.located import Located
from storage_nodes.placement import Candidate
from storage_nodes.policy import policy
from storage_nodes.segment_rows import Whereabouts
from storage_nodes.segments import Segments
from storage_nodes.shard_name import ShardName
from storage_nodes.stores.base import ShardStore
from tests.support.local_store import SMALL, LocalStore, running_store, wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

COMBINATIONS = list(itertools.combinations(range(9), 3))
REPAIRED = random.Random(6).sample(COMBINATIONS, 6)


@pytest.fixture(scope="module")
def store() -> Iterator[LocalStore]:
    with running_store(
        {**SMALL, "OBJSTORE_CLUSTER_DRIVES": "5", "OBJSTORE_NODES_GONE_AFTER_S": "2"}
    ) as made:
        yield made


class Objects:
    """Some objects of a bucket, packed ones and a large one, all of them coded."""

    def __init__(self, store: LocalStore, bucket: str) -> None:
        chance = random.Random(bucket)
        sizes = [100, 200_000, 1_500_000]
        self.bodies = {f"{bucket}/{n}": chance.randbytes(size) for n, size in enumerate(sizes)}
        self._store = store
        signer = Signer(store.access)
        asyncio.run(self._put(signer, bucket))
        wait_for(self._are_coded, "the objects to be coded", tail=store.log_tail)

    async def _put(self, signer: Signer, bucket: str) -> None:
        await once(signer, "PUT", f"/{bucket}")
        for path, body in self.bodies.items():
            await once(signer, "PUT", f"/{path}", body=body)

    def _are_coded(self) -> bool:
        return all(row.layout == "coded" for row in self.located().values())

    def located(self) -> dict[str, Located]:
        """Where each object is; every one of them has a single extent here."""
        found = ask(
            self._store,
            "SELECT b.name || '/' || v.key, s.id, s.layout, s.state, s.epoch, s.drives, s.size,"
            ' s.cell_size, s.storage_policy, e."offset", e.record_size, e.skip, e.length'
            " FROM version v JOIN bucket b ON b.id = v.bucket_id JOIN extent e"
            " ON e.version_id = v.id JOIN segment s ON s.id = e.segment_id",
        )
        return {row[0]: Located(*row[1:]) for row in found if row[0] in self.bodies}

    def segments(self) -> dict[UUID, Located]:
        return {located.segment_id: located for located in self.located().values()}

    async def through_the_door(self) -> dict[str, bytes]:
        signer = Signer(self._store.access)
        return {path: (await once(signer, "GET", f"/{path}")).body for path in self.bodies}


class Without:
    """A fleet some of whose drives cannot be reached."""

    def __init__(self, fleet: Inventory, lost: Sequence[int]) -> None:
        self.cluster = fleet.cluster
        self._fleet = fleet
        self._lost = lost

    def healthy(self) -> Sequence[Candidate]:
        return []

    def store(self, drive_id: int) -> ShardStore:
        if drive_id in self._lost:
            raise DriveGone(drive=drive_id)
        return self._fleet.store(drive_id)


class Unmoved:
    """Rows that say the segment is where it was, and are told of damage that is none."""

    def __init__(self, located: Located) -> None:
        self._located = located

    async def whereabouts(self, segment_id: UUID) -> Whereabouts:
        it = self._located
        return Whereabouts(it.layout, it.state, it.epoch, it.drives, it.size, it.cell_size)

    async def noticed(self, segment_id: UUID, epoch: int, index: int, state: str) -> None:
        return


@asynccontextmanager
async def fleet_of(store: LocalStore) -> AsyncIterator[tuple[Inventory, Config]]:
    settings = Config.from_env({**store.environment(), "DATABASE_URL": store.database_url})
    settings = replace(settings, nodes=replace(settings.nodes, socket_dir=store.home / "run"))
    lanes = Lanes(settings.database, misc=1)
    fleet = await Inventory.open(lanes, settings)
    try:
        yield fleet, settings
    finally:
        await fleet.close()
        await lanes.close()


async def read(fleet: Without, settings: Config, located: Located) -> bytes:
    segments = Segments(Unmoved(located), fleet, settings)  # type: ignore[arg-type]  # what reading asks
    stream = segments.stream([located], 0, located.length)
    pieces = []
    while piece := await stream.next():
        pieces.append(bytes(piece))
    await segments.close()
    return b"".join(pieces)


def ask(store: LocalStore, sql: str, *parameters: object) -> list[tuple]:
    with psycopg.connect(store.database_url, autocommit=True) as connection:
        cursor = connection.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else []


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def path_of(store: LocalStore, drive: int, name: ShardName) -> Path:
    return Path(ask(store, "SELECT path FROM drive WHERE id = %s", drive)[0][0]) / name.path


async def test_every_combination_of_three_lost_shards_is_read(store):
    objects = await asyncio.to_thread(Objects, store, "every")
    wrong = []

    async with fleet_of(store) as (fleet, settings):
        for path, located in objects.located().items():
            for lost in COMBINATIONS:
                without = Without(fleet, [located.drives[index] for index in lost])
                body = await read(without, settings, located)
                if digest(body) != digest(objects.bodies[path]):
                    wrong.append((path, lost))

    assert not wrong


async def test_lost_shards_of_six_combinations_are_put_back(store):
    objects = await asyncio.to_thread(Objects, store, "repaired")

    for lost in REPAIRED:
        for segment_id, located in objects.segments().items():
            for index in lost:
                name = ShardName(segment_id, located.epoch, index)
                path_of(store, located.drives[index], name).unlink()
                ask(
                    store,
                    "SELECT segment_noticed(%s, %s, %s, 'missing')",
                    segment_id,
                    located.epoch,
                    index,
                )
        await asyncio.to_thread(
            wait_for,
            lambda: not ask(store, "SELECT 1 FROM segment_shard"),
            f"the shards {lost} to be put back",
            tail=store.log_tail,
        )

    async with fleet_of(store) as (fleet, _):
        for segment_id, located in objects.segments().items():
            described = CodedLayout(
                cluster=fleet.cluster,
                segment=segment_id,
                epoch=located.epoch,
                policy=policy(located.policy),
                cell_size=located.cell_size or 0,
                size=located.size,
                drives=located.drives,
            )
            for index, drive in enumerate(located.drives):
                assert await rebuild.is_whole(described, index, fleet.store(drive))
    assert await objects.through_the_door() == objects.bodies


async def test_three_drives_thrown_away_are_made_good_without_an_operator(store):
    objects = await asyncio.to_thread(Objects, store, "thrown")
    used = next(iter(objects.segments().values())).drives
    victims = random.Random(3).sample(list(used), 3)

    for (folder,) in ask(store, "SELECT path FROM drive WHERE id = ANY (%s)", victims):
        shutil.rmtree(folder)
    during = await objects.through_the_door()
    wait_for(
        lambda: (
            not ask(
                store,
                "SELECT 1 FROM segment WHERE state IN ('sealed', 'stored')"
                " AND (drives && %s::int[] OR 0 = ANY (drives))",
                victims,
            )
        ),
        "every shard to be on another drive",
        tail=store.log_tail,
    )

    assert during == objects.bodies
    assert await objects.through_the_door() == objects.bodies
    states = ask(store, "SELECT state FROM drive WHERE id = ANY (%s)", victims)
    assert {state for (state,) in states} == {"gone"}
