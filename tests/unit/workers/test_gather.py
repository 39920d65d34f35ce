"""Gathering: small sealed segments are coded together."""

from __future__ import annotations

import pytest

from core import failpoints
from core.errors import FailpointRaised
from jobs.step import NotYet
from storage_nodes import layouts
from storage_nodes.shard_name import ShardName
from tests.support.coded import payload_of
from tests.support.drives import MemoryStorage, SealedPack, ask, big, forget, located
from tests.support.work import perform, rounds_of
from workers import collect, encode


def test_small_segments_are_gathered_into_one(drives):
    packs = [SealedPack(drives, [100, 4096], seed=n) for n in range(4)]
    gone = next(iter(packs[1].payloads))
    forget(gone)

    perform(encode.encode, packs[0].id)

    kept = {v: p for pack in packs for v, p in pack.payloads.items() if v != gone}
    assert {v: payload_of(drives, v) for v in kept} == kept
    assert len({located(v)[0] for v in kept}) == 1
    assert {layouts.segment(pack.id).state for pack in packs} == {"dead"}


def test_all_but_the_oldest_small_segment_stand_back(drives):
    packs = [SealedPack(drives, [100], seed=n) for n in range(2)]

    with pytest.raises(NotYet):
        perform(encode.encode, packs[1].id)

    perform(encode.encode, packs[0].id)
    perform(encode.encode, packs[1].id)
    assert {layouts.segment(pack.id).state for pack in packs} == {"dead"}


def test_a_small_segment_no_copy_of_which_is_whole_holds_up_no_other(drives):
    packs = [SealedPack(drives, [100, 4096], seed=n) for n in range(3)]
    for copy in range(3):
        packs[1].spoil(drives, copy)

    perform(encode.encode, packs[0].id)

    assert [layouts.segment(pack.id).state for pack in packs] == ["dead", "sealed", "dead"]
    kept = {v: p for pack in (packs[0], packs[2]) for v, p in pack.payloads.items()}
    assert {v: payload_of(drives, v) for v in kept} == kept


@pytest.mark.parametrize("point", ["gather.verified", "gather.moving"])
def test_a_lost_gathering_leaves_its_sources_and_is_collected(drives, point):
    packs = [SealedPack(drives, [100, 4096], seed=n) for n in range(3)]
    failpoints.arm(f"{point}=raise")
    with pytest.raises(FailpointRaised):
        perform(encode.encode, packs[0].id)
    failpoints.arm("")
    assert {layouts.segment(pack.id).state for pack in packs} == {"sealed"}

    perform(encode.encode, packs[0].id)
    rounds_of(collect.collect, 2)

    kept = {v: p for pack in packs for v, p in pack.payloads.items()}
    assert {v: payload_of(drives, v) for v in kept} == kept
    assert len(drives.files()) == 9


def _gathered(drives: MemoryStorage) -> tuple[list[SealedPack], layouts.SegmentRow]:
    """Packs that lie in one segment from now on, and that one. Their copies are still there."""
    packs = [SealedPack(drives, [100, 4096], seed=n) for n in range(3)]
    perform(encode.encode, packs[0].id)
    target = layouts.segment(located(next(iter(packs[0].payloads)))[0])
    assert target is not None
    return packs, target


def _copies(packs: list[SealedPack]) -> set[tuple[int, str]]:
    return {(drive, f"{pack.id.hex}.1.{n}") for pack in packs for n, drive in enumerate((1, 2, 3))}


def _take(drives: MemoryStorage, row: layouts.SegmentRow) -> dict[int, bytearray]:
    """Four of the segment's shards vanish; what they were."""
    return {
        index: drives.everything[row.drives[index]].shards.pop(ShardName(row.id, row.epoch, index))
        for index in range(4)
    }


def _wait_is_over() -> None:
    ask("UPDATE retired_layout SET not_before = now() WHERE trashed_at IS NULL RETURNING id")


def test_gathered_sources_stay_until_their_successor_has_its_shards(drives):
    packs, target = _gathered(drives)
    taken = _take(drives, target)

    rounds_of(collect.collect, 2)

    assert _copies(packs) <= drives.files()
    assert ask("SELECT subject FROM job WHERE family = 'repair'") == [(str(target.id),)]
    for index, held in taken.items():
        name = ShardName(target.id, target.epoch, index)
        drives.everything[target.drives[index]].shards[name] = held
    _wait_is_over()
    perform(collect.collect)
    assert not _copies(packs) & drives.files()


def test_gathered_sources_go_when_nothing_names_their_successor(drives):
    packs, target = _gathered(drives)
    _take(drives, target)
    perform(collect.collect)
    for version in [version for pack in packs for version in pack.payloads]:
        forget(version)

    perform(collect.collect)
    _wait_is_over()
    rounds_of(collect.collect, 2)

    assert not drives.files()
    assert ask("SELECT id FROM segment") == []


def test_gathered_sources_stay_until_what_succeeded_their_successor_has_its_shards(drives):
    packs, target = _gathered(drives)
    last = big(drives, seed=9)
    perform(encode.encode, last.id)
    _take(drives, layouts.segment(last.id))
    ask("SELECT bury(%s, interval '0', %s)", target.id, last.id)

    perform(collect.collect)

    assert _copies(packs) <= drives.files()


def test_a_source_buried_anew_keeps_its_successor(drives):
    """As after a rebuild, which brings segments back but no retired files."""
    packs, target = _gathered(drives)
    _take(drives, target)
    ask("DELETE FROM retired_layout RETURNING id")

    rounds_of(collect.collect, 2)

    assert _copies(packs) <= drives.files()


def test_the_journal_tells_where_gathered_records_went(drives):
    packs, target = _gathered(drives)

    told = ask(
        "SELECT DISTINCT ON (body #>> '{row,id}') body #>> '{row,id}', body #>> '{row,successor}'"
        " FROM change WHERE body #>> '{row,state}' = 'dead' ORDER BY 1, seq DESC"
    )

    assert dict(told) == {str(pack.id): str(target.id) for pack in packs}
