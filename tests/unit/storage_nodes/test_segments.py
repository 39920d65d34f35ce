"""The facade: one process's segments, from their start to their end."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from core import failpoints
from core.errors import InvalidArgument, SegmentClosed
from storage_nodes.pack_format import scan
from storage_nodes.shard_file import HEADER_SIZE
from storage_nodes.shard_name import ShardName
from tests.support.segments import SegmentsBench, located

VERSION = UUID(int=9)


@pytest.fixture
async def bench() -> AsyncIterator[SegmentsBench]:
    made = SegmentsBench()
    made.segments.start()
    yield made
    await made.close()


async def test_stopping_seals_what_is_open_and_takes_nothing_more(bench: SegmentsBench) -> None:
    (await bench.segments.append("ec-6-3", "fast", VERSION, b"x")).settle()
    (await bench.segments.append("rep-3", "fast", VERSION, b"x")).settle()

    await bench.segments.close()

    assert bench.states() == ["sealed", "sealed"]
    with pytest.raises(SegmentClosed):
        await bench.segments.append("ec-6-3", "fast", VERSION, b"x")


async def test_stopping_with_nothing_open_is_no_work(bench: SegmentsBench) -> None:
    await bench.segments.close()

    assert bench.rows.rows == {}


@pytest.mark.parametrize("ack", ["", "FAST", "quick"])
async def test_an_unknown_acknowledgement_is_refused(bench: SegmentsBench, ack: str) -> None:
    with pytest.raises(InvalidArgument):
        await bench.segments.append("ec-6-3", ack, VERSION, b"x")
    with pytest.raises(InvalidArgument):
        await bench.segments.write("ec-6-3", ack)


async def test_a_body_below_inline_from_is_staged_for_the_workers(bench: SegmentsBench) -> None:
    writer = await bench.segments.write("ec-6-3", "fast", 1000)
    await writer.feed(b"x" * 1000)
    stored = (await writer.finish())[0]
    stored.settle()

    assert bench.row(stored).layout == "replicated"
    assert await bench.segments.read(located(bench.rows, stored), 0, 1000) == b"x" * 1000


@pytest.mark.usefixtures("disarmed")
async def test_a_record_cut_off_in_the_middle_is_no_record(bench: SegmentsBench) -> None:
    """C15: half of a group's bytes are there. The append is made again on other drives."""
    first = await bench.segments.append("ec-6-3", "fast", VERSION, b"before")
    first.settle()
    failpoints.arm("pack.mid-record=raise")
    again = await bench.segments.append("ec-6-3", "strict", VERSION, b"cut off" * 100)
    again.settle()

    assert again.segment_id != first.segment_id
    assert await bench.segments.read(located(bench.rows, again), 0, 700) == b"cut off" * 100
    for index, drive in enumerate(bench.row(first).drives):
        name = ShardName(first.segment_id, 1, index)
        space = bench.fleet.stores[drive].shards[name][HEADER_SIZE:]
        assert next(scan(space, first.segment_id)).length == len(b"before")


@pytest.mark.usefixtures("disarmed")
async def test_a_pack_whose_files_were_never_made_is_followed_by_another(
    bench: SegmentsBench,
) -> None:
    """C15: the row is there, and nothing else."""
    failpoints.arm("pack.opened=raise")
    with pytest.raises(failpoints.FailpointRaised):
        await bench.segments.append("ec-6-3", "fast", VERSION, b"x")

    stored = await bench.segments.append("ec-6-3", "fast", VERSION, b"x")
    stored.settle()

    assert bench.states() == ["open", "open"], "the first is left to its lease"
