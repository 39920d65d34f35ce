"""Repair: lost and damaged shards and copies are put back from the others."""

from __future__ import annotations

import asyncio

import pytest

from core import config as configuration
from core import failpoints
from core.errors import FailpointRaised
from jobs.step import NotYet
from storage_nodes import layouts, rebuild
from storage_nodes.shard_file import HEADER_SIZE
from storage_nodes.shard_name import ShardName
from tests.support.coded import coded, payload_of
from tests.support.drives import SealedPack, big, forget, located
from tests.support.work import perform
from workers import collect, encode, repair


@pytest.mark.parametrize("lost", [(0,), (8,), (0, 4, 8), (6, 7, 8)])
def test_lost_shards_are_put_back_on_other_drives(drives, lost):
    pack = big(drives)
    perform(encode.encode, pack.id)
    before = layouts.segment(pack.id)
    drives.lose(*(before.drives[index] for index in lost))

    perform(repair.repair, pack.id)

    after = layouts.segment(pack.id)
    assert len(set(after.drives)) == 9
    assert not set(after.drives) & drives.lost
    assert all(
        asyncio.run(rebuild.is_whole(coded(after), index, drives.stores[drive]))
        for index, drive in enumerate(after.drives)
    )
    assert {v: payload_of(drives, v) for v in pack.payloads} == pack.payloads


def test_a_corrupt_shard_is_replaced_and_its_file_retired(drives):
    pack = big(drives)
    perform(encode.encode, pack.id)
    row = layouts.segment(pack.id)
    drives.file(row.drives[2], pack.id, row.epoch, 2)[HEADER_SIZE + 5] ^= 1
    layouts.noticed(row, 2, "corrupt")

    perform(repair.repair, pack.id)

    after = layouts.segment(pack.id)
    assert after.drives[2] != row.drives[2]
    assert not layouts.known_damage(after)
    perform(collect.collect)
    assert (row.drives[2], f"{pack.id.hex}.{row.epoch}.2") not in drives.files()


def test_without_another_drive_a_shard_is_put_back_on_its_own(drives):
    pack = big(drives)
    perform(encode.encode, pack.id)
    row = layouts.segment(pack.id)
    drives.hide(*(set(drives.everything) - set(row.drives)))
    drives.file(row.drives[2], pack.id, row.epoch, 2)[HEADER_SIZE + 5] ^= 1
    layouts.noticed(row, 2, "corrupt")

    perform(repair.repair, pack.id)

    after = layouts.segment(pack.id)
    assert after.drives == row.drives
    assert asyncio.run(rebuild.is_whole(coded(after), 2, drives.stores[row.drives[2]]))


def test_a_shard_may_come_back_to_a_drive_it_was_cleared_from(drives):
    pack = big(drives)
    perform(encode.encode, pack.id)
    with configuration.override(jobs={"grace_s": 0.0, "trash_s": 3600.0}):
        for _ in range(4):
            row = layouts.segment(pack.id)
            layouts.noticed(row, 2, "missing")
            del drives.everything[row.drives[2]].shards[ShardName(pack.id, row.epoch, 2)]
            perform(repair.repair, pack.id)
            perform(collect.collect)

    after = layouts.segment(pack.id)
    assert asyncio.run(rebuild.is_whole(coded(after), 2, drives.stores[after.drives[2]]))


def test_a_false_alarm_is_forgotten(drives):
    pack = big(drives)
    perform(encode.encode, pack.id)
    row = layouts.segment(pack.id)
    layouts.noticed(row, 2, "corrupt")

    perform(repair.repair, pack.id)

    assert layouts.segment(pack.id) == row
    assert not layouts.known_damage(row)


def test_a_lost_copy_of_a_sealed_segment_is_put_back(drives):
    pack = big(drives)
    drives.lose(2)

    perform(repair.repair, pack.id)

    row = layouts.segment(pack.id)
    assert 2 not in row.drives
    perform(encode.encode, pack.id)
    assert {v: payload_of(drives, v) for v in pack.payloads} == pack.payloads


def spoil_in(drives, row, version, *copies):
    """The version's record does not verify in these copies, and that is known."""
    for index in copies:
        at = HEADER_SIZE + located(version)[1] + 70
        drives.file(row.drives[index], row.id, row.epoch, index)[at] ^= 1
        layouts.noticed(row, index, "corrupt")


def test_a_copy_removed_is_put_back_with_every_record_but_one_that_verifies_nowhere(drives):
    pack = big(drives)
    row = layouts.segment(pack.id)
    gone, *rest = list(pack.payloads)
    spoil_in(drives, row, gone, 0, 1)
    drives.remove(row.drives[2])

    for _ in range(2):
        with pytest.raises(NotYet, match="from no copy"):
            perform(repair.repair, pack.id)

    after = layouts.segment(pack.id)
    assert after.drives[:2] == row.drives[:2]
    assert after.drives[2] not in row.drives
    # Without what is lost, the new copy alone is as good as any.
    drives.hide(*after.drives[:2])
    forget(gone)
    perform(encode.encode, pack.id)
    assert {v: payload_of(drives, v) for v in rest} == {v: pack.payloads[v] for v in rest}


def test_a_copy_that_may_come_back_is_waited_for_while_it_alone_may_have_a_record(drives):
    pack = big(drives)
    row = layouts.segment(pack.id)
    spoil_in(drives, row, next(iter(pack.payloads)), 0, 1)
    drives.miss(row.drives[2])

    with pytest.raises(NotYet, match="from no copy"):
        perform(repair.repair, pack.id)

    assert layouts.segment(pack.id).drives == row.drives
    drives.bring_back(row.drives[2])
    perform(repair.repair, pack.id)
    perform(encode.encode, pack.id)
    assert {v: payload_of(drives, v) for v in pack.payloads} == pack.payloads


def test_a_short_copy_alone_replaces_none_of_the_longer_ones_that_are_away(drives):
    """The first was closed early: the last record is in the two others only."""
    pack = big(drives)
    row = layouts.segment(pack.id)
    at = HEADER_SIZE + located(list(pack.payloads)[-1])[1]
    del drives.file(row.drives[0], row.id, row.epoch, 0)[at:]
    layouts.noticed(row, 0, "missing")
    drives.miss(*row.drives[1:])

    with pytest.raises(NotYet, match="from no copy"):
        perform(repair.repair, pack.id)

    assert layouts.segment(pack.id).drives == row.drives
    drives.bring_back(*row.drives[1:])
    perform(repair.repair, pack.id)
    perform(encode.encode, pack.id)
    assert {v: payload_of(drives, v) for v in pack.payloads} == pack.payloads


def test_shards_that_cannot_be_asked_are_left_alone(drives):
    pack = big(drives)
    perform(encode.encode, pack.id)
    row = layouts.segment(pack.id)
    drives.hide(row.drives[0])

    with pytest.raises(NotYet):
        perform(repair.repair, pack.id)

    assert layouts.segment(pack.id) == row


def test_four_lost_shards_change_nothing(drives):
    pack = big(drives)
    perform(encode.encode, pack.id)
    row = layouts.segment(pack.id)
    drives.lose(*row.drives[:4])
    before = drives.files()

    with pytest.raises(NotYet):
        perform(repair.repair, pack.id)

    assert layouts.segment(pack.id) == row
    assert drives.files() == before


def damaged(drives, row, places) -> dict[int, bytes]:
    """The shards before a bit of some was flipped, and noticed. No other drive can be asked."""
    drives.hide(*(set(drives.everything) - set(row.drives)))
    before = {
        index: bytes(drives.file(drive, row.id, row.epoch, index))
        for index, drive in enumerate(row.drives)
    }
    for index, place in places.items():
        drives.file(row.drives[index], row.id, row.epoch, index)[HEADER_SIZE + place] ^= 1
        layouts.noticed(row, index, "corrupt")
    return before


def test_shards_too_damaged_to_be_restored_stay_where_they_are(drives):
    pack = big(drives)
    perform(encode.encode, pack.id)
    row = layouts.segment(pack.id)
    damaged(drives, row, {0: 5, 3: 5, 7: 5, 8: 5})
    with_damage = {n: dict(store.shards) for n, store in drives.everything.items()}

    with pytest.raises(NotYet):
        perform(repair.repair, pack.id)

    assert {n: store.shards for n, store in drives.everything.items()} == with_damage
    assert set(layouts.known_damage(row)) == {0, 3, 7, 8}


def test_many_shards_damaged_in_different_blocks_give_each_other_back(drives):
    pack = SealedPack(drives, [700_000] * 4)
    perform(encode.encode, pack.id)
    row = layouts.segment(pack.id)
    assert len(drives.file(row.drives[0], row.id, row.epoch, 0)) > 3 * 65536
    before = damaged(drives, row, {0: 5, 1: 70_000, 3: 140_000, 7: 65_000, 8: 66_000})

    perform(repair.repair, pack.id)

    after = layouts.segment(pack.id)
    assert after.drives == row.drives
    assert before == {
        index: bytes(drives.file(drive, row.id, row.epoch, index))
        for index, drive in enumerate(row.drives)
    }
    assert not layouts.known_damage(row)


def test_copies_damaged_in_different_records_give_each_other_back(drives):
    pack = big(drives)
    row = layouts.segment(pack.id)
    last = [located(version)[1] + 70 for version in list(pack.payloads)[-3:]]
    before = damaged(drives, row, dict(enumerate(last)))

    perform(repair.repair, pack.id)

    assert layouts.segment(pack.id).drives == row.drives
    length = HEADER_SIZE + last[-1] - 70
    assert {index: held[:length] for index, held in before.items()} == {
        index: bytes(drives.file(drive, row.id, row.epoch, index))[:length]
        for index, drive in enumerate(row.drives)
    }
    drives.show(*drives.everything)
    perform(encode.encode, pack.id)
    assert {v: payload_of(drives, v) for v in pack.payloads} == pack.payloads


def test_a_copy_with_a_damaged_header_is_written_anew(drives):
    pack = big(drives)
    row = layouts.segment(pack.id)
    before = damaged(drives, row, {1: 30 - HEADER_SIZE})

    perform(repair.repair, pack.id)

    now = bytes(drives.file(row.drives[1], row.id, row.epoch, 1))
    assert before[1].startswith(now[:HEADER_SIZE])
    assert not layouts.known_damage(row)


@pytest.mark.parametrize("point", ["repair.claimed", "repair.copied"])
def test_a_stopped_repair_is_taken_up_again(drives, point):
    pack = big(drives)
    perform(encode.encode, pack.id)
    drives.lose(*layouts.segment(pack.id).drives[:2])
    failpoints.arm(f"{point}=raise")
    with pytest.raises(FailpointRaised):
        perform(repair.repair, pack.id)
    failpoints.arm("")

    perform(repair.repair, pack.id)

    assert not set(layouts.segment(pack.id).drives) & drives.lost
    assert {v: payload_of(drives, v) for v in pack.payloads} == pack.payloads
