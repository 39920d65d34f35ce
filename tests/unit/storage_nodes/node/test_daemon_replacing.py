"""A node dies while it replaces damaged shards that hold the last good blocks of a segment."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from core.errors import StoreError
from core.names import new_id
from storage_nodes import copies, encoder, rebuild
from storage_nodes.coded_layout import CodedLayout
from storage_nodes.policy import policy
from storage_nodes.shard_file import HEADER_SIZE
from storage_nodes.shard_name import ShardName
from storage_nodes.stores.base import ShardStore
from tests.support.nodes import RunningNode, files_below, running_node
from tests.support.packed import packed, random_payloads

pytestmark = pytest.mark.cluster

CELL = 64 << 10
EC = policy("ec-4-2")
# Between the old file's second name and the new one's first, and on both sides of that.
POINTS = [
    *("node.publish.before_link", "node.trash.durable"),
    *("node.publish.before_folder_sync", "node.publish.before_reply"),
]
DOORS = ["local", "http"]


def kill_at(node: RunningNode, point: str) -> None:
    node.arm(f"{point}=kill")


def start_again(node: RunningNode) -> None:
    node.wait_dead()
    (node.home / "failpoints").unlink()
    node.start()


def bytes_of(node: RunningNode, index: int, name: ShardName) -> bytes:
    return (node.paths[index] / name.path).read_bytes()


def spoil(node: RunningNode, index: int, name: ShardName, place: int) -> None:
    """Flip a bit of the payload."""
    with (node.paths[index] / name.path).open("r+b") as file:
        file.seek(HEADER_SIZE + place)
        was = file.read(1)[0]
        file.seek(HEADER_SIZE + place)
        file.write(bytes([was ^ 1]))


def opened(node: RunningNode, door: str) -> dict[int, ShardStore]:
    return {number + 1: getattr(node, door)(number) for number in range(len(node.paths))}


async def close(stores: Mapping[int, ShardStore]) -> None:
    for store in stores.values():
        await store.close()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("point", POINTS)
async def test_shards_whose_good_blocks_are_the_last_survive_it(door: str, point: str) -> None:
    """Two of six are damaged in one block, two in another: nowhere is one more to spare."""
    with running_node(drives=EC.width) as node:
        stores = opened(node, door)
        content = random.Random(7).randbytes(4 * 4 * CELL)
        segment, drives = new_id(), list(stores)
        coded = CodedLayout(
            cluster=node.key.cluster,
            segment=segment,
            epoch=3,
            policy=EC,
            cell_size=CELL,
            size=len(content),
            drives=drives,
        )
        await encoder.write(coded, content, stores)
        names = [coded.name(index) for index in range(EC.width)]
        before = [bytes_of(node, index, name) for index, name in enumerate(names)]
        targets = {index: drives[index] for index in (0, 2, 3, 5)}
        for index in targets:
            spoil(node, index, names[index], CELL * (index // 3) + 5)

        kill_at(node, point)
        with pytest.raises(StoreError):
            await rebuild.restore(coded, targets, stores, in_the_way=targets)
        await close(stores)
        start_again(node)
        stores = opened(node, door)

        for index, name in enumerate(names):
            found = await stores[drives[index]].stat(name)
            assert found is not None
            assert not found.trashed
        # What is whole by now is left alone; the rest is restored from what the others hold.
        broken = {
            index: drive
            for index, drive in targets.items()
            if not await rebuild.is_whole(coded, index, stores[drive])
        }
        await rebuild.restore(coded, broken, stores, in_the_way=broken)

        assert [bytes_of(node, index, name) for index, name in enumerate(names)] == before
        for path in node.paths:
            assert files_below(path / "tmp") == []
        await close(stores)


@pytest.mark.parametrize("door", DOORS)
async def test_a_record_of_which_one_copy_is_left_survives_it(door: str) -> None:
    with running_node(drives=3) as node:
        stores = opened(node, door)
        pack = packed(node.key.cluster, random_payloads([5_000, 70_000, 300], seed=3))
        for index, drive in enumerate(stores):
            file = await stores[drive].create(
                pack.name(index), purpose="shard", header=pack.header(index).pack()
            )
            await file.write(HEADER_SIZE, [pack.space])
            await file.publish()
        # The first record is whole in copy 0 only, the second in copy 1, the third in copy 2.
        for index in range(3):
            for other, record in enumerate(pack.records):
                if other != index:
                    spoil(node, index, pack.name(index), record.place + 100)

        async def restore_all() -> None:
            for index, drive in enumerate(stores):
                space = await copies.read(pack.copies, stores)
                await rebuild.restore_copy(
                    pack.copies,
                    space.content,
                    pack.header(index),
                    stores[drive],
                    is_in_the_way=True,
                )

        kill_at(node, "node.trash.durable")
        with pytest.raises(StoreError):
            await restore_all()
        await close(stores)
        start_again(node)
        stores = opened(node, door)
        await restore_all()

        for index in range(3):
            assert bytes_of(node, index, pack.name(index)) == pack.file(index)
        await close(stores)
