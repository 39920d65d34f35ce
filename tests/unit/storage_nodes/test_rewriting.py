"""Coding, gathering and rebuilding segments, over drives in memory."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from uuid import UUID

import pytest

from core.errors import NotEnoughShards
from core.names import new_id
from storage_nodes import copies, encoder, rebuild
from storage_nodes.coded_layout import CodedLayout
from storage_nodes.copies import Copies
from storage_nodes.gather import Gathering, gathered_size
from storage_nodes.pack_format import parse_record, record_length
from storage_nodes.policy import policy
from storage_nodes.shard_file import HEADER_SIZE, parse_footer
from storage_nodes.shard_name import ShardName, first_copy
from storage_nodes.stores.memory import MemoryShardStore
from tests.support.packed import packed, random_payloads

CLUSTER = UUID(int=7)
CELL = 64 << 10


class PackedDrives:
    """A sealed segment of three copies with records of these lengths."""

    def __init__(self, lengths: list[int], seed: int = 1) -> None:
        self.packed = packed(CLUSTER, random_payloads(lengths, seed))
        self.id = self.packed.segment
        self.copies = self.packed.copies
        self.payloads = {one.place: one.payload for one in self.packed.records}
        self.stores = {drive: MemoryShardStore() for drive in self.copies.drives}
        for index, store in enumerate(self.stores.values()):
            store.shards[self.packed.name(index)] = bytearray(self.packed.file(index))

    def file(self, index: int) -> bytearray:
        return self.stores[index + 1].shards[self.packed.name(index)]

    def spoil(self, index: int, position: int) -> None:
        self.file(index)[HEADER_SIZE + position + 100] ^= 1


class CodedDrives:
    """One segment coded over as many drives in memory as its policy is wide."""

    def __init__(self, policy_name: str = "ec-6-3") -> None:
        self.policy = policy(policy_name)
        self.id = new_id()
        self.stores = {n + 1: MemoryShardStore() for n in range(self.policy.width)}
        self.size = 0

    @property
    def coded(self) -> CodedLayout:
        return CodedLayout(
            cluster=CLUSTER,
            segment=self.id,
            epoch=5,
            policy=self.policy,
            cell_size=CELL,
            size=self.size,
            drives=list(self.stores),
        )

    async def write(self, content: bytes) -> None:
        self.size = len(content)
        await encoder.write(self.coded, content, self.stores)

    def file(self, index: int) -> bytearray:
        return self.stores[index + 1].shards[self.coded.name(index)]

    def lose(self, *indexes: int) -> dict[int, bytes]:
        lost = {}
        for index in indexes:
            name = self.coded.name(index)
            lost[index] = bytes(self.stores[index + 1].shards.pop(name))
        return lost


async def test_a_segment_is_read_from_one_copy_and_every_record_verifies():
    pack = PackedDrives([100, 4096, 70_000, 1])

    space = await copies.read(pack.copies, pack.stores)

    assert not space.damaged
    for place, payload in pack.payloads.items():
        whole = space.content[place : place + record_length(len(payload))]
        assert parse_record(whole, pack.id, place) == payload


async def test_a_damaged_record_is_taken_from_another_copy():
    pack = PackedDrives([4096, 4096, 4096])
    second = list(pack.payloads)[1]
    first = first_copy(pack.id, 3)
    pack.spoil(first, second)

    space = await copies.read(pack.copies, pack.stores)

    assert space.damaged == {first}
    assert bytes(pack.payloads[second]) in bytes(space.content)


async def test_each_record_may_come_from_a_different_copy():
    pack = PackedDrives([4096, 4096, 4096])
    for index, place in enumerate(pack.payloads):
        pack.spoil(index, place)

    space = await copies.read(pack.copies, pack.stores)

    assert all(bytes(payload) in bytes(space.content) for payload in pack.payloads.values())


async def test_a_record_damaged_in_every_copy_refuses_the_whole_segment():
    pack = PackedDrives([4096, 4096])
    for index in range(3):
        pack.spoil(index, 0)

    with pytest.raises(NotEnoughShards):
        await copies.read(pack.copies, pack.stores)


async def test_a_copy_that_ends_early_is_completed_from_the_others():
    pack = PackedDrives([4096] * 8)
    for index in (0, 1):
        del pack.file(index)[HEADER_SIZE + 9000 :]

    space = await copies.read(pack.copies, pack.stores)

    assert all(bytes(payload) in bytes(space.content) for payload in pack.payloads.values())


@pytest.mark.parametrize("size", [1, 4096, 6 * CELL, 6 * CELL + 1, 3_000_001])
async def test_what_was_coded_comes_back_from_any_three_losses(size):
    drives = CodedDrives()
    content = random.Random(size).randbytes(size)
    await drives.write(content)
    before = {index: bytes(drives.file(index)) for index in range(9)}

    for lost in random.Random(3).sample(list(itertools.combinations(range(9), 3)), 8):
        drives.lose(*lost)
        await rebuild.restore(drives.coded, {i: i + 1 for i in lost}, drives.stores)

    assert {index: bytes(drives.file(index)) for index in range(9)} == before


async def test_data_shards_hold_the_bytes_as_they_are():
    drives = CodedDrives()
    content = random.Random(1).randbytes(12 * CELL)
    await drives.write(content)

    first = drives.file(0)[HEADER_SIZE : HEADER_SIZE + 2 * CELL]

    assert first == content[:CELL] + content[6 * CELL : 7 * CELL]


async def test_a_fourth_loss_is_refused_and_publishes_nothing():
    drives = CodedDrives()
    await drives.write(random.Random(1).randbytes(500_000))
    drives.lose(0, 1, 2, 3)

    with pytest.raises(NotEnoughShards):
        await rebuild.restore(drives.coded, {0: 1}, drives.stores)

    assert not drives.stores[1].shards


async def test_a_damaged_source_is_passed_over_and_reported():
    drives = CodedDrives()
    await drives.write(random.Random(1).randbytes(500_000))
    drives.file(4)[HEADER_SIZE + 10] ^= 1
    lost = drives.lose(0)

    bad = await rebuild.restore(drives.coded, {0: 1}, drives.stores)

    assert bad == {4: "corrupt"}
    assert bytes(drives.file(0)) == lost[0]


async def test_a_damaged_file_makes_room_for_its_successor_only():
    drives = CodedDrives()
    await drives.write(random.Random(1).randbytes(500_000))
    before = bytes(drives.file(2))
    drives.file(2)[HEADER_SIZE + 10] ^= 1

    await rebuild.restore(drives.coded, {2: 3}, drives.stores, in_the_way=[2])

    assert bytes(drives.file(2)) == before
    assert list(drives.stores[3].trashed) == [drives.coded.name(2)]


async def test_a_shard_with_a_digest_of_other_bytes_is_not_whole():
    drives = CodedDrives()
    await drives.write(random.Random(1).randbytes(500_000))
    name, length = drives.coded.name(1), drives.coded.shard_length
    tail = bytes(drives.file(1)[HEADER_SIZE + length :])
    footer = parse_footer(tail, name, len(drives.file(1)))

    drives.file(1)[HEADER_SIZE + length :] = replace(footer, digest=bytes(16)).pack(name)

    assert not await rebuild.is_whole(drives.coded, 1, drives.stores[2])


async def test_the_copy_of_another_segment_is_not_whole_and_no_source():
    pack, other = PackedDrives([4096, 70_000], seed=1), PackedDrives([4096, 70_000, 5], seed=2)
    pack.stores[1].shards[ShardName(pack.id, 1, 0)] = bytearray(other.file(0))

    space = await copies.read(pack.copies, pack.stores)

    assert (space.doubtful, space.damaged) == ({0}, set())
    assert space.content == pack.file(1)[HEADER_SIZE:]
    name = ShardName(pack.id, 1, 0)
    assert not await rebuild.copy_is_whole(pack.copies, name, pack.stores[1])


async def test_a_shard_with_one_flipped_bit_is_not_whole():
    drives = CodedDrives()
    await drives.write(random.Random(1).randbytes(500_000))
    assert await rebuild.is_whole(drives.coded, 8, drives.stores[9])

    drives.file(8)[-1000] ^= 1

    assert not await rebuild.is_whole(drives.coded, 8, drives.stores[9])


async def test_a_lost_copy_is_restored_as_it_was():
    pack = PackedDrives([100, 70_000])
    space = await copies.read(pack.copies, pack.stores)
    header = pack.packed.header(2)
    fresh = MemoryShardStore()

    await rebuild.restore_copy(pack.copies, space.content, header, fresh)

    assert fresh.shards[header.name] == pack.file(2)


async def test_gathered_records_verify_in_their_new_place():
    packs = [PackedDrives(lengths, seed=n) for n, lengths in enumerate([[50, 4096], [70_000], [3]])]
    gathering = Gathering(new_id())

    for pack in packs:
        space = await copies.read(pack.copies, pack.stores)
        gathering.take(pack.copies, space.content)

    assert len(gathering.content) <= gathered_size([pack.copies for pack in packs])
    payloads = {(pack.id, at): payload for pack in packs for at, payload in pack.payloads.items()}
    moved = gathering.moved
    for segment, before, after in zip(moved.segments, moved.before, moved.after, strict=True):
        payload = payloads.pop((segment, before))
        whole = gathering.content[after : after + record_length(len(payload))]
        assert parse_record(whole, gathering.target, after) == payload
    assert not payloads


async def test_gathering_leaves_behind_what_nobody_names():
    pack = PackedDrives([4096, 4096, 4096])
    only = list(pack.payloads)[1]
    wanted = Copies(
        segment=pack.id,
        epoch=1,
        drives=[1, 2, 3],
        size=pack.copies.size,
        records=[(only, 4096)],
    )
    gathering = Gathering(new_id())

    space = await copies.read(wanted, pack.stores)
    gathering.take(wanted, space.content)

    assert len(gathering.content) == record_length(4096)
