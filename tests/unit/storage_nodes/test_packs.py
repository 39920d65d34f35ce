"""The open packs of a process: opened on first use, replaced when they close, sealed in time."""

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import pytest

from core.config import Packing, config
from core.errors import DriveFenced, NotEnoughDrives, SegmentClosed
from storage_nodes.fleet import Avoided
from storage_nodes.located import Stored
from storage_nodes.pack_format import parse_record, record_length
from storage_nodes.packs import Packs
from storage_nodes.policy import Ack
from storage_nodes.shard_file import HEADER_SIZE, parse_header
from storage_nodes.shard_name import ShardName, first_copy
from tests.support.clock import FakeClock
from tests.support.segments import HandTimer, MemoryBench, until

VERSION = UUID(int=9)
SEGMENT_SIZE = 1 << 20
FAILURE = DriveFenced(drive="test")


class Bench(MemoryBench):
    def __init__(self, drives: int = 6) -> None:
        super().__init__(drives)
        self.settings: Packing = config().packing
        self.packs = self.make(self.settings)

    def make(self, settings: Packing) -> Packs:
        return Packs(
            self.rows,  # type: ignore[arg-type]  # a fake with the same methods
            self.fleet,
            settings,
            segment_size=SEGMENT_SIZE,
            avoided=Avoided(),
            later=HandTimer(),
        )

    async def append(
        self, content: bytes = b"x", ack: Ack = "fast", policy: str = "ec-6-3"
    ) -> Stored:
        async with asyncio.timeout(60):
            return await self.packs.append(policy, ack, VERSION, content)

    async def settled(self, content: bytes = b"x") -> Stored:
        stored = await self.append(content)
        stored.settle()
        return stored


@pytest.fixture
async def bench(time: FakeClock) -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    made.fleet.release()
    await made.packs.close()


async def test_the_first_append_opens_a_segment_on_three_drives(bench: Bench) -> None:
    stored = await bench.settled()

    row = bench.row(stored)
    assert (row.state, row.layout, row.policy) == ("open", "replicated", "ec-6-3")
    assert len(set(row.drives)) == 3


async def test_the_copies_lie_in_three_zones(bench: Bench) -> None:
    stored = await bench.settled()

    zones = {drive.zone for drive in bench.fleet.drives if drive.id in bench.row(stored).drives}
    assert len(zones) == 3


async def test_each_copy_says_what_it_is(bench: Bench) -> None:
    stored = await bench.settled()

    for index, drive in enumerate(bench.row(stored).drives):
        name = ShardName(stored.segment_id, 1, index)
        header = parse_header(bench.fleet.stores[drive].shards[name])
        assert (header.name, header.layout, header.cluster) == (
            name,
            "replicated",
            bench.fleet.cluster,
        )


async def test_only_the_copy_that_is_read_first_is_left_in_memory(bench: Bench) -> None:
    stored = await bench.settled()

    kept = [
        index
        for index, drive in enumerate(bench.row(stored).drives)
        if ShardName(stored.segment_id, 1, index) not in bench.fleet.stores[drive].uncached
    ]
    assert kept == [first_copy(stored.segment_id, 3)]


async def test_the_row_is_there_before_the_first_file(bench: Bench) -> None:
    bench.fleet.hold()
    asking = asyncio.create_task(bench.append())

    await until(lambda: bench.states() == ["open"])

    assert not any(store.shards for store in bench.fleet.stores.values())
    bench.fleet.release()
    (await asking).settle()


async def test_further_appends_go_to_the_same_segment(bench: Bench) -> None:
    first = await bench.settled()
    second = await bench.settled()

    assert first.segment_id == second.segment_id


async def test_many_first_appends_open_one_segment(bench: Bench) -> None:
    stored = await asyncio.gather(*(bench.settled() for _ in range(20)))

    assert len({each.segment_id for each in stored}) == 1


async def test_every_policy_has_a_pack_of_its_own(bench: Bench) -> None:
    coded = await bench.settled()
    copied = await bench.append(policy="rep-2")
    copied.settle()

    assert coded.segment_id != copied.segment_id
    assert len(bench.row(copied).drives) == 2


async def test_a_payload_in_a_file_is_read_from_its_beginning(bench: Bench) -> None:
    source = io.BytesIO(b"spilled" * 1000)
    source.seek(0, io.SEEK_END)

    stored = await bench.packs.append("ec-6-3", "fast", VERSION, source)
    stored.settle()

    name = ShardName(stored.segment_id, 1, 0)
    space = bench.fleet.stores[bench.row(stored).drives[0]].shards[name][HEADER_SIZE:]
    record = space[stored.offset : stored.offset + record_length(stored.length)]
    assert bytes(parse_record(record, stored.segment_id, stored.offset)) == b"spilled" * 1000


async def test_when_a_copy_fails_the_next_append_goes_to_other_drives(bench: Bench) -> None:
    first = await bench.settled()
    failed = bench.row(first).drives[0]
    bench.fleet.stores[failed].failing = FAILURE
    await bench.settled()
    await until(lambda: bench.row(first).state == "sealed")

    after = await bench.settled()

    assert after.segment_id != first.segment_id
    assert failed not in bench.row(after).drives


async def test_an_append_that_lost_its_quorum_is_made_again_elsewhere(bench: Bench) -> None:
    first = await bench.settled()
    for drive in bench.row(first).drives[:2]:
        bench.fleet.stores[drive].failing = FAILURE

    after = await bench.settled()

    assert after.segment_id != first.segment_id
    assert after.copies >= 2


async def test_a_drive_that_cannot_even_create_is_passed_over(bench: Bench) -> None:
    for drive in (1, 2):
        bench.fleet.stores[drive].failing = FAILURE

    stored = await bench.settled()

    assert not {1, 2} & set(bench.row(stored).drives)
    assert set(bench.states()) <= {"dead", "open"}


async def test_a_full_segment_is_sealed_and_followed_by_another(bench: Bench) -> None:
    first = await bench.settled(b"a" * 700_000)
    second = await bench.settled(b"b" * 700_000)

    await until(lambda: bench.row(first).state == "sealed")

    assert second.segment_id != first.segment_id
    assert bench.row(first).size == bench.row(first).confirmed[0]  # type: ignore[index]


async def test_a_nearly_full_segment_has_its_successor_ready(bench: Bench) -> None:
    first = await bench.settled(b"a" * 800_000)
    second = await bench.settled(b"b" * 1000)

    await until(lambda: bench.states() == ["open", "open"])

    assert second.segment_id == first.segment_id


async def test_sealing_waits_for_the_commits_of_what_was_appended(bench: Bench) -> None:
    first = await bench.append(b"a" * 700_000)
    await bench.settled(b"b" * 700_000)
    assert bench.row(first).state == "open"

    first.settle()

    await until(lambda: bench.row(first).state == "sealed")


async def test_a_segment_with_enough_in_it_is_sealed_at_its_age(
    time: FakeClock, bench: Bench
) -> None:
    bench.packs = bench.make(replace(bench.settings, seal_min_bytes=100_000))
    stored = await bench.settled(b"a" * 200_000)
    time.advance(bench.settings.seal_after_s - 1)
    bench.packs.seal_due()
    assert bench.row(stored).state == "open"

    time.advance(1)
    bench.packs.seal_due()

    await until(lambda: bench.row(stored).state == "sealed")


async def test_a_small_segment_stays_open_for_a_while(time: FakeClock, bench: Bench) -> None:
    stored = await bench.settled()
    time.advance(bench.settings.seal_after_s + 1)
    bench.packs.seal_due()
    assert bench.row(stored).state == "open"

    time.advance(bench.settings.open_max_s)
    bench.packs.seal_due()

    await until(lambda: bench.row(stored).state == "sealed")


async def test_renewing_records_what_each_copy_holds(bench: Bench) -> None:
    stored = await bench.settled()
    bench.fleet.hold(bench.row(stored).drives[2])
    await bench.settled()

    await bench.packs.renew()

    assert sorted(bench.row(stored).confirmed or []) == [4096, 8192, 8192]
    bench.fleet.release()


async def test_a_segment_that_was_taken_away_gets_nothing_more(bench: Bench) -> None:
    stored = await bench.settled()
    bench.row(stored).state = "sealed"
    await bench.packs.renew()

    after = await bench.settled()

    assert after.segment_id != stored.segment_id


async def test_stopping_seals_what_is_open(bench: Bench) -> None:
    stored = await bench.settled()

    await bench.packs.close()

    assert bench.row(stored).state == "sealed"
    assert bench.row(stored).size == 4096


async def test_after_stopping_nothing_is_opened(bench: Bench) -> None:
    await bench.packs.close()

    with pytest.raises(SegmentClosed):
        await bench.append()


async def test_a_request_that_goes_away_does_not_hold_up_sealing(bench: Bench) -> None:
    first = await bench.settled()
    bench.fleet.hold(*bench.row(first).drives)
    gone = asyncio.create_task(bench.append())
    await until(lambda: sum(store.writes for store in bench.fleet.stores.values()) >= 6)
    gone.cancel()
    bench.fleet.release()

    await bench.packs.close()

    assert bench.row(first).state == "sealed"


@pytest.mark.parametrize("ack", ["fast", "strict"])
async def test_one_drive_is_not_enough(time: FakeClock, ack: Ack) -> None:
    bench = Bench(drives=1)

    with pytest.raises(NotEnoughDrives):
        await bench.append(ack=ack)


async def test_two_drives_are_enough_for_a_fast_write_only(time: FakeClock) -> None:
    bench = Bench(drives=2)

    stored = await bench.append(ack="fast")
    stored.settle()

    assert sorted(bench.row(stored).drives)[0] == 0
    with pytest.raises(NotEnoughDrives):
        await Bench(drives=2).append(ack="strict")
    await bench.packs.close()


async def test_a_strict_write_gets_a_third_copy_once_there_is_a_drive_for_it(
    time: FakeClock,
) -> None:
    bench = Bench(drives=3)
    bench.fleet.lost.add(3)
    await bench.settled()
    bench.fleet.lost.clear()

    stored = await bench.append(ack="strict")
    stored.settle()

    assert sorted(bench.row(stored).drives) == [1, 2, 3]
    await bench.packs.close()
