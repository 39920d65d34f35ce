"""Large bodies: coded as they come, quorums, drives that fail, too few drives."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random

import pytest

from core import clock
from core.config import Coding, config
from core.errors import DriveFenced, NotEnoughDrives, QuorumNotMet, SegmentClosed
from storage_nodes.coding import PyeclibCoder
from storage_nodes.fleet import Avoided
from storage_nodes.located import Stored
from storage_nodes.own_segments import FORGOTTEN_S, OwnSegments
from storage_nodes.pack_format import parse_record, record_length
from storage_nodes.segment_writer import SegmentWriter
from storage_nodes.shard_file import (
    HEADER_SIZE,
    footer_size,
    parse_footer,
    parse_header,
    salt,
    verify_blocks,
)
from storage_nodes.shard_name import ShardName
from storage_nodes.striping import Striping
from tests.support.clock import FakeClock
from tests.support.segments import MemoryBench, until

CELL = 8192
STRIPE = 4 * CELL
# Units are as large as in life; segments are small, so that a body needs several.
SETTINGS = replace(config().coding, cell_size=CELL, segment_size=4 << 20)
BODY = Random(1).randbytes(9 << 20)
FAILURE = DriveFenced(drive="test")


class Bench(MemoryBench):
    def __init__(self, drives: int = 9, settings: Coding = SETTINGS, grace_s: float = 60) -> None:
        super().__init__(drives)
        self.threads = ThreadPoolExecutor(2)
        self.own = OwnSegments(
            self.rows,  # type: ignore[arg-type]  # a fake with the same methods
            self.fleet,
            settings,
            self.threads,
            Avoided(),
            grace_s=grace_s,
        )

    def writer(self, policy: str = "ec-4-2") -> SegmentWriter:
        return SegmentWriter(self.own, policy, "fast")

    async def write(
        self, content: bytes, policy: str = "ec-4-2", piece: int = 300_000
    ) -> list[Stored]:
        writer = self.writer(policy)
        for start in range(0, len(content), piece):
            await writer.feed(content[start : start + piece])
        return await writer.finish()

    def file(self, stored: Stored, index: int) -> bytes:
        drive = self.row(stored).drives[index]
        return bytes(self.fleet.stores[drive].shards[ShardName(stored.segment_id, 1, index)])

    def payload(self, stored: Stored, index: int) -> bytes:
        """A shard's payload, everything about its file verified."""
        name = ShardName(stored.segment_id, 1, index)
        whole = self.file(stored, index)
        length = Striping(stored.length, 4, CELL).shard_length
        footer = parse_footer(whole[-footer_size(length) :], name, len(whole))
        content = whole[HEADER_SIZE : HEADER_SIZE + length]
        assert verify_blocks(content, 0, footer.checksums, salt(name)) is None
        assert (footer.payload_length, footer.segment_size) == (length, stored.length)
        assert parse_header(whole).name == name
        return content


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    made.fleet.release()
    made.threads.shutdown()


def joined(bench: Bench, stored: Stored) -> bytes:
    """The segment's bytes put together from its data shards."""
    striping = Striping(stored.length, 4, CELL)
    payloads = [bench.payload(stored, index) for index in range(4)]
    return b"".join(
        payloads[index][offset : offset + length]
        for index, offset, length in striping.pieces(0, stored.length)
    )


@pytest.mark.parametrize("size", [1, 4095, STRIPE, STRIPE + 1, 2 << 20, (2 << 20) + 5, 9 << 20])
async def test_the_data_shards_hold_the_body(bench: Bench, size: int) -> None:
    stored = await bench.write(BODY[:size])

    assert b"".join(joined(bench, each) for each in stored) == BODY[:size]


async def test_a_body_is_cut_into_segments_in_order(bench: Bench) -> None:
    stored = await bench.write(BODY)

    assert [each.length for each in stored] == [4 << 20, 4 << 20, 1 << 20]
    assert all(
        (each.offset, each.record_size, each.kind, each.epoch) == (0, None, "writing", 1)
        for each in stored
    )


@pytest.mark.parametrize("piece", [1000, 300_000, 9 << 20])
async def test_it_does_not_matter_how_the_body_comes(bench: Bench, piece: int) -> None:
    stored = await bench.write(BODY[:2_500_000], piece=piece)

    assert b"".join(joined(bench, each) for each in stored) == BODY[:2_500_000]


async def test_parity_is_what_the_reference_computes(bench: Bench) -> None:
    """Cell by cell, the shorter cells of the last stripe included."""
    stored = (await bench.write(BODY[: STRIPE + 10_000]))[0]
    shards = [bench.payload(stored, index) for index in range(6)]
    code = PyeclibCoder(4, 2)

    for start, stop in ((0, CELL), (CELL, CELL + 4096)):
        cells = [shard[start:stop] for shard in shards]
        parity = [bytearray(stop - start) for _ in range(2)]
        code.encode(cells[:4], parity)
        assert parity == cells[4:]


async def test_the_row_is_there_before_the_first_byte(bench: Bench) -> None:
    bench.fleet.hold()
    writer = bench.writer()
    feeding = asyncio.create_task(writer.feed(b"x"))

    await until(lambda: len(bench.rows.rows) == 1)

    assert [row.state for row in bench.rows.rows.values()] == ["writing"]
    assert not any(store.shards for store in bench.fleet.stores.values())
    feeding.cancel()
    await asyncio.wait([feeding])


async def test_nothing_has_a_name_until_it_is_whole(bench: Bench) -> None:
    writer = bench.writer()
    await writer.feed(BODY[: 3 << 20])

    assert not any(store.shards for store in bench.fleet.stores.values())
    await writer.abandon()
    assert not any(store.shards for store in bench.fleet.stores.values())


async def test_an_abandoned_body_leaves_only_dead_segments(bench: Bench) -> None:
    writer = bench.writer()
    await writer.feed(BODY)
    await writer.abandon()

    assert {row.state for row in bench.rows.rows.values()} == {"dead"}


async def test_a_finished_body_may_still_be_abandoned(bench: Bench) -> None:
    writer = bench.writer()
    await writer.feed(BODY[:1000])
    await writer.finish()
    await writer.abandon()

    assert {row.state for row in bench.rows.rows.values()} == {"dead"}


async def test_a_drive_that_fails_in_the_middle_is_left_to_a_repair(bench: Bench) -> None:
    writer = bench.writer()
    await writer.feed(BODY[: 2 << 20])
    segment_id, row = next(iter(bench.rows.rows.items()))
    bench.fleet.stores[row.drives[1]].failing = FAILURE
    await writer.feed(BODY[2 << 20 : 4 << 20])

    stored = (await writer.finish())[0]

    assert stored.segment_id == segment_id
    assert row.drives[1] == 0
    assert stored.copies == 5


async def test_a_drive_that_fails_at_the_end_is_left_to_a_repair(bench: Bench) -> None:
    writer = bench.writer()
    await writer.feed(BODY[:1000])
    row = next(iter(bench.rows.rows.values()))
    bench.fleet.stores[row.drives[5]].failing = FAILURE

    await writer.finish()

    assert row.drives.count(0) == 1
    assert row.drives[5] == 0


async def test_a_drive_that_does_not_answer_is_not_waited_for() -> None:
    bench = Bench(grace_s=0.2)
    writer = bench.writer()
    await writer.feed(BODY[:1000])
    row = next(iter(bench.rows.rows.values()))
    slow = bench.fleet.stores[row.drives[2]]
    slow.gate.clear()

    stored = (await writer.finish())[0]

    assert row.drives[2] == 0
    assert stored.copies == 5
    slow.gate.set()


async def test_too_few_durable_shards_are_an_error(bench: Bench) -> None:
    writer = bench.writer()
    await writer.feed(BODY[:1000])
    row = next(iter(bench.rows.rows.values()))
    for index in (0, 3):
        bench.fleet.stores[row.drives[index]].failing = FAILURE

    with pytest.raises(QuorumNotMet):
        await writer.finish()
    await writer.abandon()
    assert row.state == "dead"


async def test_a_drive_that_cannot_even_create_is_replaced(bench: Bench) -> None:
    for drive in (1, 2):
        bench.fleet.stores[drive].failing = FAILURE

    stored = (await bench.write(BODY[:1000]))[0]

    drives = bench.row(stored).drives
    assert not {0, 1, 2} & set(drives)
    assert len(set(drives)) == 6


async def test_a_segment_that_was_taken_away_cannot_be_finished(bench: Bench) -> None:
    writer = bench.writer()
    await writer.feed(BODY[:1000])
    next(iter(bench.rows.rows.values())).state = "dead"

    with pytest.raises(SegmentClosed):
        await writer.finish()


async def test_with_too_few_drives_the_body_is_staged_as_copies() -> None:
    bench = Bench(drives=4)

    stored = await bench.write(BODY[:3_000_000])

    record = stored[0]
    row = bench.row(record)
    assert (row.layout, row.policy, len(row.drives)) == ("replicated", "ec-4-2", 3)
    for index in range(3):
        space = bench.file(record, index)[HEADER_SIZE:]
        content = parse_record(space[: record_length(record.length)], record.segment_id, 0)
        assert bytes(content) == BODY[: record.length]
    assert sum(each.length for each in stored) == 3_000_000


async def test_a_replicated_policy_is_written_as_its_copies() -> None:
    bench = Bench()

    stored = (await bench.write(BODY[:1000], policy="rep-4-3-2"))[0]

    assert (bench.row(stored).layout, len(bench.row(stored).drives)) == ("replicated", 4)
    assert stored.record_size == 1000


async def test_a_staged_body_holds_nothing_before_its_header_is_written() -> None:
    bench = Bench(drives=4, settings=replace(SETTINGS, segment_size=64 << 20))
    writer = bench.writer()
    await writer.feed(BODY[: 3 << 20])
    row = next(iter(bench.rows.rows.items()))
    await until(lambda: len(bench.fleet.stores[row[1].drives[0]].shards) > 0)

    content = bench.fleet.stores[row[1].drives[0]].shards[ShardName(row[0], 1, 0)]

    assert not any(content[HEADER_SIZE : HEADER_SIZE + 64])
    await writer.abandon()


async def test_one_drive_is_not_enough_for_a_large_body() -> None:
    with pytest.raises(NotEnoughDrives):
        await Bench(drives=1).write(BODY[:1000])


async def test_an_empty_body_needs_no_segment(bench: Bench) -> None:
    assert await bench.write(b"") == []
    assert bench.rows.rows == {}


async def test_leases_are_renewed_until_the_commit_is_settled(bench: Bench) -> None:
    stored = (await bench.write(BODY[:1000]))[0]
    await bench.own.renew()
    assert bench.rows.renewals == 1

    stored.settle()
    await bench.own.renew()

    assert bench.rows.renewals == 1


async def test_the_first_segments_of_a_body_that_takes_hours_are_kept_until_its_end(
    bench: Bench,
) -> None:
    with clock.use(FakeClock()) as fake:
        assert isinstance(fake, FakeClock)
        writer = bench.writer()
        await writer.feed(BODY[: 5 << 20])
        await until(lambda: next(iter(bench.rows.rows.values())).size > 0)
        fake.advance(2 * FORGOTTEN_S)
        await bench.own.renew()
        await writer.feed(BODY[5 << 20 :])
        stored = await writer.finish()
        before = bench.rows.renewals

        await bench.own.renew()
        assert bench.rows.renewals == before + len(stored)

        fake.advance(FORGOTTEN_S + 1)
        await bench.own.renew()
        assert bench.rows.renewals == before + len(stored)


async def test_what_a_stream_holds_does_not_grow_with_the_body(bench: Bench) -> None:
    """Two units, whatever comes: a slow drive holds the sender up instead."""
    writer = bench.writer()
    await writer.feed(BODY[:1])
    bench.fleet.hold()
    feeding = asyncio.create_task(_feed_all(writer))

    await until(lambda: sum(store.writes for store in bench.fleet.stores.values()) == 6)
    for _ in range(100):
        await asyncio.sleep(0)

    assert not feeding.done()
    assert sum(store.writes for store in bench.fleet.stores.values()) == 6
    feeding.cancel()
    await asyncio.wait([feeding])
    bench.fleet.release()


async def _feed_all(writer: SegmentWriter) -> None:
    for start in range(0, len(BODY), 300_000):
        await writer.feed(BODY[start : start + 300_000])


async def test_a_body_that_is_not_to_be_coded_inline_is_staged(bench: Bench) -> None:
    writer = SegmentWriter(bench.own, "ec-4-2", "fast", is_coded=False)
    await writer.feed(BODY[:1000])

    stored = (await writer.finish())[0]

    assert (bench.row(stored).layout, bench.row(stored).policy) == ("replicated", "ec-4-2")
