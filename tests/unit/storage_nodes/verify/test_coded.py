"""Verification finds whatever is wrong with any shard of a coded segment, and names it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from uuid import UUID

import pytest

from core.errors import ShardCorrupt
from storage_nodes import encoder
from storage_nodes.coded_layout import CodedLayout
from storage_nodes.policy import policy
from storage_nodes.shard_file import HEADER_SIZE, BlockSums, footer_size
from storage_nodes.shard_name import FileName
from storage_nodes.stores.memory import MemoryShardStore
from storage_nodes.verify import coded
from storage_nodes.verify.findings import Finding, Throttle
from tests.support.drives import CLUSTER
from tests.support.shard_stores import AttendedStore
from tests.support.verifying import flip, shorter

BLOCK = 65536
OTHER = UUID(int=0xABC)


class Bench:
    """A coded segment of several stripes on nine drives, and another beside it."""

    def __init__(self) -> None:
        self.stores = {n: MemoryShardStore() for n in range(1, 10)}
        self.coded = self._segment(UUID(int=0x123), epoch=5)
        self.older = self._segment(UUID(int=0x123), epoch=4)
        self.other = self._segment(OTHER, epoch=5)

    def _segment(self, segment: UUID, epoch: int) -> CodedLayout:
        space = random.Random(segment.int + epoch).randbytes(6 * 200_000)
        made = CodedLayout(
            cluster=CLUSTER,
            segment=segment,
            epoch=epoch,
            policy=policy("ec-6-3"),
            cell_size=131072,
            size=len(space),
            drives=list(range(1, 10)),
        )
        asyncio.run(encoder.write(made, space, self.stores))
        return made

    def file(self, index: int) -> bytearray:
        return self.stores[index + 1].shards[self.coded.name(index)]

    def check(self, **options: object) -> list[Finding]:
        throttle = Throttle()
        found = asyncio.run(
            coded.check(self.coded, self.stores.__getitem__, throttle, **options)  # type: ignore[arg-type]
        )
        self.tally = throttle.tally
        return found


@pytest.fixture
def bench() -> Bench:
    return Bench()


def swap_in(bench: Bench, index: int, of: CodedLayout, other: int) -> None:
    file = bench.stores[other + 1].shards[of.name(other)]
    bench.stores[index + 1].shards[bench.coded.name(index)] = bytearray(file)


Damage = Callable[[Bench, int], None]
DAMAGES: dict[str, tuple[str, Damage]] = {
    "a bit of the first block": ("corrupt", lambda b, i: flip(b.file(i), HEADER_SIZE)),
    "a bit of the last block": (
        "corrupt",
        lambda b, i: flip(b.file(i), HEADER_SIZE + b.coded.shard_length - 1),
    ),
    "a bit of the header": ("corrupt", lambda b, i: flip(b.file(i), 30)),
    "a bit of the header's padding": ("corrupt", lambda b, i: flip(b.file(i), 2000)),
    "the magic": ("corrupt", lambda b, i: flip(b.file(i), 0)),
    "a bit of the table": (
        "corrupt",
        lambda b, i: flip(b.file(i), HEADER_SIZE + b.coded.shard_length + 1),
    ),
    "a bit of the digest": ("corrupt", lambda b, i: flip(b.file(i), -30)),
    "the last byte": ("corrupt", lambda b, i: flip(b.file(i), -1)),
    "a zeroed page": (
        "corrupt",
        lambda b, i: b.file(i).__setitem__(slice(HEADER_SIZE, 2 * HEADER_SIZE), bytes(4096)),
    ),
    "a byte less": ("truncated", lambda b, i: shorter(b.file(i), 1)),
    "half of it": ("truncated", lambda b, i: shorter(b.file(i), len(b.file(i)) // 2)),
    "less than a header": ("truncated", lambda b, i: shorter(b.file(i), len(b.file(i)) - 100)),
    "nothing left": ("truncated", lambda b, i: b.file(i).clear()),
    "a byte more": ("corrupt", lambda b, i: b.file(i).append(0)),
    "deleted": ("missing", lambda b, i: b.stores[i + 1].shards.pop(b.coded.name(i))),
    "another shard of the segment": (
        "swapped",
        lambda b, i: swap_in(b, i, b.coded, (i + 1) % 9),
    ),
    "a shard of another segment": ("swapped", lambda b, i: swap_in(b, i, b.other, i)),
    "the shard of an older epoch": ("stale", lambda b, i: swap_in(b, i, b.older, i)),
}


def test_a_segment_in_order_is_read_whole_and_nothing_is_said(bench: Bench) -> None:
    found = bench.check()

    assert found == []
    length = bench.coded.shard_length
    assert bench.tally.shards == 9
    assert bench.tally.blocks == 9 * -(-length // BLOCK)
    assert bench.tally.bytes == 9 * (HEADER_SIZE + length + footer_size(length))


@pytest.mark.parametrize("index", [2, 7], ids=["data", "parity"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_to_any_shard_is_found_and_named(bench: Bench, damage: str, index: int) -> None:
    kind, hurt = DAMAGES[damage]
    hurt(bench, index)

    found = bench.check()

    assert [(one.kind, one.index, one.drive) for one in found] == [(kind, index, index + 1)]


def test_damage_to_every_shard_is_found(bench: Bench) -> None:
    for index in range(9):
        flip(bench.file(index), HEADER_SIZE + 70_000 + index)

    assert sorted(one.index or 0 for one in bench.check()) == list(range(9))


def test_a_payload_under_its_own_checksums_that_is_not_the_parity_of_the_data_is_found(
    bench: Bench,
) -> None:
    name, length = bench.coded.name(8), bench.coded.shard_length
    payload = bytearray(bench.file(8)[HEADER_SIZE : HEADER_SIZE + length])
    payload[100] ^= 1
    sums = BlockSums(name)
    sums.update(payload)
    forged = bench.coded.header(8).pack() + payload + sums.footer(bench.coded.size).pack(name)
    bench.stores[9].shards[name] = bytearray(forged)

    found = bench.check()

    assert [(one.kind, one.index, one.drive) for one in found] == [("inconsistent", 8, 9)]


def test_a_drive_that_cannot_read_or_be_reached_is_told_apart(bench: Bench) -> None:
    bench.stores[4].gone = True

    async def attend(step: str, _: FileName) -> None:
        if step == "read":
            raise ShardCorrupt("The drive cannot read the shard: Input/output error.")

    bench.stores[7] = AttendedStore(bench.stores[7], attend)

    found = {one.index: one.kind for one in bench.check()}

    assert found == {3: "unreachable", 6: "unreadable"}


def test_a_shard_that_is_on_no_drive_yet_is_missing(bench: Bench) -> None:
    bench.coded.drives[4] = 0  # type: ignore[index]  # a list here

    assert [(one.kind, one.index, one.drive) for one in bench.check()] == [("missing", 4, None)]


def test_only_the_shards_asked_for_are_read(bench: Bench) -> None:
    flip(bench.file(1), HEADER_SIZE)
    flip(bench.file(2), HEADER_SIZE)

    assert [one.index for one in bench.check(indexes=[2])] == [2]
    assert bench.tally.shards == 1
