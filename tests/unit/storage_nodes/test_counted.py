"""What happens to segments is counted: sealing, copies given up, damage, hedges, decodes."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from random import Random
from uuid import UUID

import pytest

from core import metrics
from core.config import config
from core.errors import DriveFenced
from core.metrics import Metric
from storage_nodes.located import Located, Stored
from storage_nodes.race import Pace
from storage_nodes.shard_file import HEADER_SIZE
from storage_nodes.shard_name import ShardName, first_copy
from tests.support.clock import FakeClock
from tests.support.segments import HandTimer, SegmentsBench, located, until

SMALL = Random(1).randbytes(5000)
LARGE = Random(3).randbytes(800_000)


@contextmanager
def counting(metric: Metric, *labels: str) -> Iterator[list[float]]:
    """By how much the metric moved within the block, when that has ended."""
    before, moved = metric.value(labels), [0.0]
    yield moved
    moved[0] = metric.value(labels) - before


class Bench(SegmentsBench):
    def __init__(self) -> None:
        self.timer = HandTimer()
        super().__init__(later=self.timer)
        # However long this machine takes, nothing is slow unless a test says so.
        self.segments.reader._pace = Pace(3600.0)
        self.segments.reader._open_pace = Pace(3600.0)

    async def appended(self, content: bytes = SMALL) -> Stored:
        stored = await self.segments.append("ec-6-3", "fast", UUID(int=9), content)
        stored.settle()
        return stored

    async def packed(self) -> Located:
        return located(self.rows, await self.appended())

    async def coded(self) -> Located:
        writer = await self.segments.write("ec-6-3", "strict")
        await writer.feed(LARGE)
        (stored,) = await writer.finish()
        self.rows.rows[stored.segment_id].state = "stored"
        stored.settle()
        return located(self.rows, stored)

    def remove(self, place: Located, index: int) -> None:
        name = ShardName(place.segment_id, place.epoch, index)
        del self.fleet.stores[place.drives[index]].shards[name]

    def harm(self, place: Located, index: int) -> None:
        name = ShardName(place.segment_id, place.epoch, index)
        self.fleet.stores[place.drives[index]].shards[name][HEADER_SIZE + 70_000] ^= 1


@pytest.fixture
async def bench(time: FakeClock) -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.close()


async def test_a_pack_sealed_when_the_store_stops(bench: Bench) -> None:
    await bench.appended()

    with counting(metrics.segments_sealed, "stop") as moved:
        await bench.segments.close()

    assert moved == [1]


async def test_a_pack_sealed_because_it_is_due(bench: Bench, time: FakeClock) -> None:
    stored = await bench.appended()
    time.advance(config().packing.open_max_s)

    with counting(metrics.segments_sealed, "due") as moved:
        bench.segments._packs.seal_due()
        await until(lambda: bench.row(stored).state == "sealed")

    assert moved == [1]


async def test_a_pack_sealed_because_it_is_full(bench: Bench) -> None:
    bench.segments._packs._segment_size = 1 << 20
    first = await bench.appended(LARGE)

    with counting(metrics.segments_sealed, "full") as moved:
        await bench.appended(LARGE)
        await until(lambda: bench.rows.rows[first.segment_id].state == "sealed")

    assert moved == [1]


async def test_a_pack_that_somebody_else_sealed_is_not_counted_again(bench: Bench) -> None:
    stored = await bench.appended()
    bench.row(stored).state = "sealed"
    before = dict(metrics.segments_sealed.values)

    await bench.segments.close()

    assert metrics.segments_sealed.values == before


async def test_a_copy_whose_drive_fails_and_the_pack_with_it(bench: Bench) -> None:
    stored = await bench.appended()
    row = bench.row(stored)
    bench.fleet.stores[row.drives[2]].failing = DriveFenced(drive="test")

    with (
        counting(metrics.copies_closed, "failed") as given_up,
        counting(metrics.segments_sealed, "copies") as sealed,
    ):
        await bench.appended()
        await until(lambda: row.state == "sealed")

    assert (given_up, sealed) == ([1], [1])


async def test_a_copy_that_stays_behind(bench: Bench, time: FakeClock) -> None:
    stored = await bench.appended()
    slow = bench.fleet.stores[bench.row(stored).drives[2]]
    await until(lambda: slow.writes == 1)
    slow.gate.clear()
    await bench.appended()
    time.advance(config().packing.lag_s)

    with counting(metrics.copies_closed, "slow") as moved:
        bench.timer.fire()

    assert moved == [1]


async def test_a_shard_that_a_read_finds_missing(bench: Bench) -> None:
    place = await bench.coded()
    bench.remove(place, 2)

    with (
        counting(metrics.shards_noticed, "missing") as noticed,
        counting(metrics.decoded_reads) as decoded,
        counting(metrics.hedged_reads) as hedged,
    ):
        assert await bench.segments.read(place, 0, 800_000) == LARGE

    assert noticed == [1]
    assert decoded[0] >= 1
    assert hedged == [0]


async def test_a_shard_that_a_read_finds_corrupt(bench: Bench) -> None:
    place = await bench.coded()
    bench.harm(place, 1)

    with counting(metrics.shards_noticed, "corrupt") as moved:
        for _ in range(3):
            assert await bench.segments.read(place, 0, 800_000) == LARGE

    assert moved == [1]


async def test_a_read_of_whole_shards_decodes_and_hedges_nothing(bench: Bench) -> None:
    place = await bench.coded()

    with counting(metrics.decoded_reads) as decoded, counting(metrics.hedged_reads) as hedged:
        assert await bench.segments.read(place, 0, 800_000) == LARGE

    assert (decoded, hedged) == ([0], [0])


async def test_a_copy_that_does_not_answer_is_hedged(bench: Bench) -> None:
    place = await bench.packed()
    bench.fleet.stores[place.drives[first_copy(place.segment_id, 3)]].hang_reads = True
    bench.segments.reader._pace = Pace()

    with counting(metrics.hedged_reads) as moved:
        assert await bench.segments.read(place, 0, 5000) == SMALL

    assert moved[0] in (1, 2)  # the second copy may be slow here, too


async def test_a_coded_shard_that_does_not_open_in_time_is_hedged(bench: Bench) -> None:
    place = await bench.coded()
    bench.fleet.hold(place.drives[0])
    bench.segments.reader._open_pace = Pace()

    with counting(metrics.hedged_reads) as moved:
        stream = bench.segments.stream([place], 0, 700_000)
        assert bytes(await stream.next()) == LARGE[:700_000]

    assert moved == [1]


async def test_equal_cold_reads_are_served_by_one(bench: Bench) -> None:
    place = await bench.packed()

    with counting(metrics.coalesced) as moved:
        await asyncio.gather(*(bench.segments.read(place, 0, 5000) for _ in range(10)))

    assert moved == [9]
