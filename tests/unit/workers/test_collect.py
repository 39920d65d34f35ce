"""Collecting: what nothing names goes through the trash for good, and nothing else does."""

from __future__ import annotations

from uuid import UUID

import pytest

from core import failpoints
from core.errors import FailpointRaised
from core.names import new_id
from storage_nodes import layouts, orphans
from storage_nodes.shard_name import ShardName
from tests.support.drives import ask, big, forget
from tests.support.work import perform, rounds_of
from workers import collect, encode


def test_a_segment_no_extent_names_goes_through_trash_for_good(drives):
    pack = big(drives)
    for version in pack.payloads:
        forget(version)

    rounds_of(collect.collect, 3)

    assert not drives.files()
    assert not any(store.trashed for store in drives.everything.values())
    assert layouts.segment(pack.id) is None


def test_a_segment_that_is_named_is_never_collected(drives):
    pack = big(drives)
    for version in list(pack.payloads)[1:]:
        forget(version)
    before = drives.files()

    rounds_of(collect.collect, 3)

    assert drives.files() == before


def test_a_round_goes_on_behind_the_last_one(drives):
    packs = [big(drives, seed) for seed in (1, 2)]
    for version in packs[0].payloads | packs[1].payloads:
        forget(version)
    ask(
        "INSERT INTO job_done (id, family, subject, key, state, priority, run_at, cursor, outcome,"
        " done, attempts, token, owed_again, cancel_requested, last_error, detail)"
        " VALUES (%s, 'collect', '', 'slot', 'leased', 0, now(), to_jsonb(%s::text), 'done',"
        " 1, 1, 1, false, false, '', '{}') RETURNING id",
        new_id(),
        str(packs[0].id),
    )

    perform(collect.collect)

    assert layouts.segment(packs[0].id).state == "sealed"
    assert layouts.segment(packs[1].id) is None or layouts.segment(packs[1].id).state == "dead"


def test_coding_that_nobody_owes_is_owed_again(drives):
    pack = big(drives)
    ask("UPDATE segment SET sealed_at = now() - interval '1 hour' RETURNING id")

    perform(collect.collect)

    assert ask("SELECT subject FROM job WHERE family = 'encode'") == [(str(pack.id),)]


def test_a_dead_segment_refuses_new_references(drives):
    pack = big(drives)
    for version in pack.payloads:
        forget(version)

    perform(collect.collect)

    assert ask("SELECT segments_referable(ARRAY[%s]::uuid[])", pack.id) == [([False],)]


def test_a_file_that_a_segment_names_is_not_trashed_whatever_a_retired_row_says(drives):
    pack = big(drives)
    ask("SELECT retire(%s, 1, '{1,2,3}', 'replicated', interval '0')", pack.id)
    before = drives.files()

    rounds_of(collect.collect, 2)

    assert drives.files() == before


def test_replaced_copies_stay_while_their_successor_lacks_shards(drives):
    pack = big(drives)
    perform(encode.encode, pack.id)
    row = layouts.segment(pack.id)
    for index in (0, 1):
        del drives.everything[row.drives[index]].shards[ShardName(pack.id, row.epoch, index)]

    perform(collect.collect)

    assert (1, f"{pack.id.hex}.1.0") in drives.files()
    assert ask("SELECT subject FROM job WHERE family = 'repair'") == [(str(pack.id),)]


def test_an_old_file_nobody_names_is_an_orphan(drives):
    drives.everything[4].shards[ShardName(UUID(int=5 << 80), 1, 0)] = bytearray(b"old")
    drives.everything[4].shards[ShardName(new_id(), 1, 0)] = bytearray(b"young")

    perform(collect.collect, "drive:4")
    perform(collect.collect)

    assert [bytes(held) for held in drives.everything[4].shards.values()] == [b"young"]


def _begun(drives) -> tuple[layouts.SegmentRow, int]:
    """A coded segment, and a drive that holds nothing of it."""
    pack = big(drives)
    perform(encode.encode, str(pack.id))
    row = layouts.segment(pack.id)
    return row, next(drive for drive in drives.everything if drive not in row.drives)


def test_no_repair_adopts_a_file_that_is_going_to_trash(drives):
    row, elsewhere = _begun(drives)

    assert orphans.retire(elsewhere, [(row.id, row.epoch, 2)]) == 1

    assert not layouts.begin_shard(row, 2, elsewhere)


def test_a_file_that_a_repair_is_writing_is_no_orphan(drives):
    row, elsewhere = _begun(drives)
    layouts.begin_shard(row, 2, elsewhere)

    assert orphans.retire(elsewhere, [(row.id, row.epoch, 2)]) == 0


def test_a_file_that_its_segment_names_is_no_orphan(drives):
    row, _ = _begun(drives)

    retired = [
        orphans.retire(drive, [(row.id, row.epoch, index)])
        for index, drive in enumerate(row.drives)
    ]

    assert retired == [0] * 9


def test_abandoned_uploads_segments_are_collected(drives):
    segment = new_id()
    ask(
        "INSERT INTO segment (id, storage_policy, layout, state, epoch, owner, lease_until, drives,"
        " cell_size) VALUES (%s, 'ec-6-3', 'coded', 'writing', 1, 'x', now() - interval '1s',"
        " '{1,2,3,4,5,6,7,8,9}', 65536) RETURNING id",
        segment,
    )
    drives.everything[3].shards[ShardName(segment, 1, 2)] = bytearray(b"part of it")

    rounds_of(collect.collect, 3)

    assert not drives.files()
    assert layouts.segment(segment) is None


@pytest.mark.parametrize("point", ["collect.claimed", "collect.trashed", "collect.burying"])
def test_a_stopped_collection_is_taken_up_again(drives, point):
    pack = big(drives)
    for version in pack.payloads:
        forget(version)
    failpoints.arm(f"{point}=raise")
    with pytest.raises(FailpointRaised):
        rounds_of(collect.collect, 2)
    failpoints.arm("")

    rounds_of(collect.collect, 3)

    assert not drives.files()
