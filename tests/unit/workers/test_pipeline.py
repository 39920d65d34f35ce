"""Seal, encode, gather, repair and collect, over drives in memory and rows in PostgreSQL."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from uuid import UUID

import pytest

from core import config as configuration
from core import failpoints
from core.errors import FailpointRaised
from core.names import new_id
from jobs.step import NotYet
from storage_nodes import layouts, rebuild
from storage_nodes.pack_format import parse_record, record_length
from storage_nodes.policy import policy
from storage_nodes.rebuild import Coded, Sources
from storage_nodes.shard_file import HEADER_SIZE
from storage_nodes.shard_name import ShardName
from storage_nodes.striping import Striping
from tests.support.drives import CLUSTER, MemoryStorage, SealedPack, ask, forget, located
from workers import collect, encode, repair, seal, sweep_uploads
from workers import storage as worker_storage

MIB = 1 << 20


class Claim:
    """A claim that is never lost."""

    job_id = UUID(int=1)

    def check(self) -> None:
        return


@pytest.fixture
def drives(database: str) -> Iterator[MemoryStorage]:
    made = MemoryStorage()
    worker_storage.install(made)
    with configuration.override(
        jobs={"grace_s": 0.0, "trash_s": 0.0}, packing={"seal_min_bytes": 64 << 10}
    ):
        yield made
    worker_storage.install(None)
    failpoints.arm("")


def run(family, subject: object = "") -> None:
    for _ in family(str(subject), None, Claim()):
        pass


def coded(row: layouts.SegmentRow) -> Coded:
    assert row.layout == "coded"
    return Coded(
        cluster=CLUSTER,
        segment=row.id,
        epoch=row.epoch,
        policy=policy(row.policy),
        cell_size=row.cell_size or 0,
        size=row.size,
        drives=row.drives,
    )


def content(drives: MemoryStorage, segment_id: UUID) -> bytes:
    """The address space of a coded segment, decoded from whatever shards are there."""
    row = layouts.segment(segment_id)
    described = coded(row)
    needed = described.policy.needed

    async def read() -> bytes:
        sources = Sources(described)
        await sources.open(drives.stores, [])
        cells = []
        striping = Striping(row.size, needed, row.cell_size)
        for start in range(0, described.shard_length, row.cell_size):
            stop = min(start + row.cell_size, described.shard_length)
            have = await sources.read(start, stop)
            whole = rebuild.coder(needed, described.policy.parity).restore(have, range(needed))
            cells.append(b"".join(whole[n] for n in range(needed)))
        await sources.close()
        assert len(b"".join(cells)) >= striping.size
        return b"".join(cells)[: row.size]

    return asyncio.run(read())


def payload_of(drives: MemoryStorage, version: UUID) -> bytes:
    segment_id, offset, length = located(version)
    whole = content(drives, segment_id)[offset : offset + record_length(length)]
    return bytes(parse_record(whole, segment_id, offset))


def big(drives: MemoryStorage, seed: int = 1) -> SealedPack:
    lengths = [random.Random(seed).randrange(1, 200_000) for _ in range(12)]
    return SealedPack(drives, lengths, seed=seed)


def settle(*families) -> None:
    for family in families:
        run(family)


def test_an_open_segment_is_sealed_once_its_lease_has_run_out(drives):
    segment = new_id()
    ask(
        "INSERT INTO segment (id, storage_policy, layout, state, epoch, owner, lease_until, drives)"
        " VALUES (%s, 'ec-6-3', 'replicated', 'open', 1, 'x', now() - interval '1s', '{1,2,3}')"
        " RETURNING id",
        segment,
    )

    ask(
        'INSERT INTO extent (version_id, position, segment_id, "offset", record_size, skip, length)'
        " VALUES (%s, 0, %s, 0, 10, 0, 10) RETURNING id",
        new_id(),
        segment,
    )

    run(seal.seal)

    assert layouts.segment(segment).state == "sealed"
    assert ask("SELECT subject FROM job WHERE family = 'encode'") == [(str(segment),)]


def test_an_encoded_segment_keeps_every_object_and_loses_its_copies_later(drives):
    pack = big(drives)

    run(encode.encode, pack.id)

    assert layouts.segment(pack.id).layout == "coded"
    assert {v: payload_of(drives, v) for v in pack.payloads} == pack.payloads
    assert (1, f"{pack.id.hex}.1.0") in drives.files()
    settle(collect.collect, collect.collect)
    assert {name.split(".")[1] for _, name in drives.files()} == {
        str(layouts.segment(pack.id).epoch)
    }


def test_encoding_twice_is_the_same_as_once(drives):
    pack = big(drives)
    run(encode.encode, pack.id)
    first = layouts.segment(pack.id)

    run(encode.encode, pack.id)

    assert layouts.segment(pack.id) == first


def test_encoding_survives_one_damaged_copy(drives):
    pack = big(drives)
    pack.spoil(drives, 0)

    run(encode.encode, pack.id)

    assert {v: payload_of(drives, v) for v in pack.payloads} == pack.payloads


def test_a_segment_that_cannot_be_read_stays_as_it_is(drives):
    pack = big(drives)
    for copy in range(3):
        pack.spoil(drives, copy)

    with pytest.raises(NotYet):
        run(encode.encode, pack.id)

    assert layouts.segment(pack.id).state == "sealed"


def test_with_too_few_drives_encoding_waits(drives):
    pack = big(drives)
    drives.hide(9, 10, 11, 12)

    with pytest.raises(NotYet):
        run(encode.encode, pack.id)

    assert layouts.segment(pack.id).state == "sealed"


@pytest.mark.parametrize(
    "point", ["encode.some-shards", "encode.all-shards", "encode.verified", "encode.swapping"]
)
def test_a_lost_attempt_leaves_the_copies_and_its_files_are_collected(drives, point):
    pack = big(drives)
    failpoints.arm(f"{point}=raise")
    with pytest.raises(FailpointRaised):
        run(encode.encode, pack.id)
    failpoints.arm("")
    assert layouts.segment(pack.id).layout == "replicated"

    run(encode.encode, pack.id)
    settle(collect.collect, collect.collect)

    row = layouts.segment(pack.id)
    assert drives.files() == {
        (drive, f"{pack.id.hex}.{row.epoch}.{index}") for index, drive in enumerate(row.drives)
    }
    assert {v: payload_of(drives, v) for v in pack.payloads} == pack.payloads


def test_an_extent_that_came_to_name_a_later_record_stops_the_swap(drives):
    pack = big(drives)
    last = list(pack.payloads)[-1]
    _, offset, length = located(last)
    forget(last)
    failpoints.arm("encode.verified=raise")
    with pytest.raises(FailpointRaised):
        run(encode.encode, pack.id)
    failpoints.arm("")
    row = layouts.segment(pack.id)
    epoch = layouts.begin_layout(row, list(range(1, 10)))
    ask(
        'INSERT INTO extent (version_id, position, segment_id, "offset", record_size, skip, length)'
        " VALUES (%s, 0, %s, %s, %s, 0, %s) RETURNING id",
        last,
        pack.id,
        offset,
        length,
        length,
    )

    swapped = encode.rewrite.swap_encoded(
        row, epoch=epoch, drives=list(range(1, 10)), cell_size=65536, size=offset, grace_s=0
    )

    assert not swapped
    assert layouts.segment(pack.id).layout == "replicated"


def test_small_segments_are_gathered_into_one(drives):
    packs = [SealedPack(drives, [100, 4096], seed=n) for n in range(4)]
    gone = next(iter(packs[1].payloads))
    forget(gone)

    run(encode.encode, packs[0].id)

    kept = {v: p for pack in packs for v, p in pack.payloads.items() if v != gone}
    assert {v: payload_of(drives, v) for v in kept} == kept
    assert len({located(v)[0] for v in kept}) == 1
    assert {layouts.segment(pack.id).state for pack in packs} == {"dead"}


def test_all_but_the_oldest_small_segment_stand_back(drives):
    packs = [SealedPack(drives, [100], seed=n) for n in range(2)]

    with pytest.raises(NotYet):
        run(encode.encode, packs[1].id)

    run(encode.encode, packs[0].id)
    run(encode.encode, packs[1].id)
    assert {layouts.segment(pack.id).state for pack in packs} == {"dead"}


def test_a_small_segment_no_copy_of_which_is_whole_holds_up_no_other(drives):
    packs = [SealedPack(drives, [100, 4096], seed=n) for n in range(3)]
    for copy in range(3):
        packs[1].spoil(drives, copy)

    run(encode.encode, packs[0].id)

    assert [layouts.segment(pack.id).state for pack in packs] == ["dead", "sealed", "dead"]
    kept = {v: p for pack in (packs[0], packs[2]) for v, p in pack.payloads.items()}
    assert {v: payload_of(drives, v) for v in kept} == kept


@pytest.mark.parametrize("lengths", [[100], [200_000]], ids=["small", "large"])
def test_a_segment_that_cannot_be_read_waits_to_be_coded(drives, lengths):
    pack = SealedPack(drives, lengths)
    drives.hide(*pack.drives)

    with pytest.raises(NotYet):
        run(encode.encode, pack.id)

    assert layouts.segment(pack.id).state == "sealed"
    drives.show(*pack.drives)
    run(encode.encode, pack.id)
    assert {v: payload_of(drives, v) for v in pack.payloads} == pack.payloads


@pytest.mark.parametrize("point", ["gather.verified", "gather.moving"])
def test_a_lost_gathering_leaves_its_sources_and_is_collected(drives, point):
    packs = [SealedPack(drives, [100, 4096], seed=n) for n in range(3)]
    failpoints.arm(f"{point}=raise")
    with pytest.raises(FailpointRaised):
        run(encode.encode, packs[0].id)
    failpoints.arm("")
    assert {layouts.segment(pack.id).state for pack in packs} == {"sealed"}

    run(encode.encode, packs[0].id)
    settle(collect.collect, collect.collect)

    kept = {v: p for pack in packs for v, p in pack.payloads.items()}
    assert {v: payload_of(drives, v) for v in kept} == kept
    assert len(drives.files()) == 9


def test_a_segment_no_extent_names_goes_through_trash_for_good(drives):
    pack = big(drives)
    for version in pack.payloads:
        forget(version)

    settle(collect.collect, collect.collect, collect.collect)

    assert not drives.files()
    assert not any(store.trashed for store in drives.everything.values())
    assert layouts.segment(pack.id) is None


def test_a_segment_that_is_named_is_never_collected(drives):
    pack = big(drives)
    for version in list(pack.payloads)[1:]:
        forget(version)
    before = drives.files()

    settle(collect.collect, collect.collect, collect.collect)

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

    run(collect.collect)

    assert layouts.segment(packs[0].id).state == "sealed"
    assert layouts.segment(packs[1].id) is None or layouts.segment(packs[1].id).state == "dead"


def test_coding_that_nobody_owes_is_owed_again(drives):
    pack = big(drives)
    ask("UPDATE segment SET sealed_at = now() - interval '1 hour' RETURNING id")

    run(collect.collect)

    assert ask("SELECT subject FROM job WHERE family = 'encode'") == [(str(pack.id),)]


def test_a_dead_segment_refuses_new_references(drives):
    pack = big(drives)
    for version in pack.payloads:
        forget(version)

    run(collect.collect)

    assert ask("SELECT segments_referable(ARRAY[%s]::uuid[])", pack.id) == [([False],)]


def test_a_file_that_a_segment_names_is_not_trashed_whatever_a_retired_row_says(drives):
    pack = big(drives)
    ask("SELECT retire(%s, 1, '{1,2,3}', 'replicated', interval '0')", pack.id)
    before = drives.files()

    settle(collect.collect, collect.collect)

    assert drives.files() == before


def test_replaced_copies_stay_while_their_successor_lacks_shards(drives):
    pack = big(drives)
    run(encode.encode, pack.id)
    row = layouts.segment(pack.id)
    for index in (0, 1):
        del drives.everything[row.drives[index]].shards[ShardName(pack.id, row.epoch, index)]

    run(collect.collect)

    assert (1, f"{pack.id.hex}.1.0") in drives.files()
    assert ask("SELECT subject FROM job WHERE family = 'repair'") == [(str(pack.id),)]


def test_an_old_file_nobody_names_is_an_orphan(drives):
    drives.everything[4].shards[ShardName(UUID(int=5 << 80), 1, 0)] = bytearray(b"old")
    drives.everything[4].shards[ShardName(new_id(), 1, 0)] = bytearray(b"young")

    run(collect.collect, "drive:4")

    assert [bytes(held) for held in drives.everything[4].shards.values()] == [b"young"]


def test_abandoned_uploads_segments_are_collected(drives):
    segment = new_id()
    ask(
        "INSERT INTO segment (id, storage_policy, layout, state, epoch, owner, lease_until, drives,"
        " cell_size) VALUES (%s, 'ec-6-3', 'coded', 'writing', 1, 'x', now() - interval '1s',"
        " '{1,2,3,4,5,6,7,8,9}', 65536) RETURNING id",
        segment,
    )
    drives.everything[3].shards[ShardName(segment, 1, 2)] = bytearray(b"part of it")

    settle(collect.collect, collect.collect, collect.collect)

    assert not drives.files()
    assert layouts.segment(segment) is None


@pytest.mark.parametrize("point", ["collect.claimed", "collect.trashed", "collect.burying"])
def test_a_stopped_collection_is_taken_up_again(drives, point):
    pack = big(drives)
    for version in pack.payloads:
        forget(version)
    failpoints.arm(f"{point}=raise")
    with pytest.raises(FailpointRaised):
        settle(collect.collect, collect.collect)
    failpoints.arm("")

    settle(collect.collect, collect.collect, collect.collect)

    assert not drives.files()


@pytest.mark.parametrize("lost", [(0,), (8,), (0, 4, 8), (6, 7, 8)])
def test_lost_shards_are_put_back_on_other_drives(drives, lost):
    pack = big(drives)
    run(encode.encode, pack.id)
    before = layouts.segment(pack.id)
    drives.lose(*(before.drives[index] for index in lost))

    run(repair.repair, pack.id)

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
    run(encode.encode, pack.id)
    row = layouts.segment(pack.id)
    drives.file(row.drives[2], pack.id, row.epoch, 2)[HEADER_SIZE + 5] ^= 1
    layouts.noticed(row, 2, "corrupt")

    run(repair.repair, pack.id)

    after = layouts.segment(pack.id)
    assert after.drives[2] != row.drives[2]
    assert not layouts.known_damage(after)
    settle(collect.collect)
    assert (row.drives[2], f"{pack.id.hex}.{row.epoch}.2") not in drives.files()


def test_without_another_drive_a_shard_is_put_back_on_its_own(drives):
    pack = big(drives)
    run(encode.encode, pack.id)
    row = layouts.segment(pack.id)
    drives.hide(*(set(drives.everything) - set(row.drives)))
    drives.file(row.drives[2], pack.id, row.epoch, 2)[HEADER_SIZE + 5] ^= 1
    layouts.noticed(row, 2, "corrupt")

    run(repair.repair, pack.id)

    after = layouts.segment(pack.id)
    assert after.drives == row.drives
    assert asyncio.run(rebuild.is_whole(coded(after), 2, drives.stores[row.drives[2]]))


def test_a_shard_may_come_back_to_a_drive_it_was_cleared_from(drives):
    pack = big(drives)
    run(encode.encode, pack.id)
    with configuration.override(jobs={"grace_s": 0.0, "trash_s": 3600.0}):
        for _ in range(4):
            row = layouts.segment(pack.id)
            layouts.noticed(row, 2, "missing")
            del drives.everything[row.drives[2]].shards[ShardName(pack.id, row.epoch, 2)]
            run(repair.repair, pack.id)
            run(collect.collect)

    after = layouts.segment(pack.id)
    assert asyncio.run(rebuild.is_whole(coded(after), 2, drives.stores[after.drives[2]]))


def test_a_false_alarm_is_forgotten(drives):
    pack = big(drives)
    run(encode.encode, pack.id)
    row = layouts.segment(pack.id)
    layouts.noticed(row, 2, "corrupt")

    run(repair.repair, pack.id)

    assert layouts.segment(pack.id) == row
    assert not layouts.known_damage(row)


def test_a_lost_copy_of_a_sealed_segment_is_put_back(drives):
    pack = big(drives)
    drives.lose(2)

    run(repair.repair, pack.id)

    row = layouts.segment(pack.id)
    assert 2 not in row.drives
    run(encode.encode, pack.id)
    assert {v: payload_of(drives, v) for v in pack.payloads} == pack.payloads


def test_shards_that_cannot_be_asked_are_left_alone(drives):
    pack = big(drives)
    run(encode.encode, pack.id)
    row = layouts.segment(pack.id)
    drives.hide(row.drives[0])

    with pytest.raises(NotYet):
        run(repair.repair, pack.id)

    assert layouts.segment(pack.id) == row


def test_four_lost_shards_change_nothing(drives):
    pack = big(drives)
    run(encode.encode, pack.id)
    row = layouts.segment(pack.id)
    drives.lose(*row.drives[:4])
    before = drives.files()

    with pytest.raises(NotYet):
        run(repair.repair, pack.id)

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
    run(encode.encode, pack.id)
    row = layouts.segment(pack.id)
    damaged(drives, row, {0: 5, 3: 5, 7: 5, 8: 5})
    with_damage = {n: dict(store.shards) for n, store in drives.everything.items()}

    with pytest.raises(NotYet):
        run(repair.repair, pack.id)

    assert {n: store.shards for n, store in drives.everything.items()} == with_damage
    assert set(layouts.known_damage(row)) == {0, 3, 7, 8}


def test_many_shards_damaged_in_different_blocks_give_each_other_back(drives):
    pack = SealedPack(drives, [700_000] * 4)
    run(encode.encode, pack.id)
    row = layouts.segment(pack.id)
    assert len(drives.file(row.drives[0], row.id, row.epoch, 0)) > 3 * 65536
    before = damaged(drives, row, {0: 5, 1: 70_000, 3: 140_000, 7: 65_000, 8: 66_000})

    run(repair.repair, pack.id)

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

    run(repair.repair, pack.id)

    assert layouts.segment(pack.id).drives == row.drives
    length = HEADER_SIZE + last[-1] - 70
    assert {index: held[:length] for index, held in before.items()} == {
        index: bytes(drives.file(drive, row.id, row.epoch, index))[:length]
        for index, drive in enumerate(row.drives)
    }
    drives.show(*drives.everything)
    run(encode.encode, pack.id)
    assert {v: payload_of(drives, v) for v in pack.payloads} == pack.payloads


def test_a_copy_with_a_damaged_header_is_written_anew(drives):
    pack = big(drives)
    row = layouts.segment(pack.id)
    before = damaged(drives, row, {1: 30 - HEADER_SIZE})

    run(repair.repair, pack.id)

    now = bytes(drives.file(row.drives[1], row.id, row.epoch, 1))
    assert before[1].startswith(now[:HEADER_SIZE])
    assert not layouts.known_damage(row)


@pytest.mark.parametrize("point", ["repair.claimed", "repair.copied"])
def test_a_stopped_repair_is_taken_up_again(drives, point):
    pack = big(drives)
    run(encode.encode, pack.id)
    drives.lose(*layouts.segment(pack.id).drives[:2])
    failpoints.arm(f"{point}=raise")
    with pytest.raises(FailpointRaised):
        run(repair.repair, pack.id)
    failpoints.arm("")

    run(repair.repair, pack.id)

    assert not set(layouts.segment(pack.id).drives) & drives.lost
    assert {v: payload_of(drives, v) for v in pack.payloads} == pack.payloads


def test_a_stale_upload_is_aborted_and_a_young_one_is_not(drives):
    tenant, bucket = new_id(), new_id()
    ask(
        "INSERT INTO tenant (id, account_id, canonical_id, name, display_name, suspended, created,"
        " revision) VALUES (%s, '123456789012', repeat('a', 64), 't', 't', false, now(), 1)"
        " RETURNING id",
        tenant,
    )
    ask(
        "INSERT INTO bucket (id, tenant_id, name, region, versioning, storage_policy, ack,"
        " object_lock, revision, created) VALUES (%s, %s, 'bucket', 'r', '', 'ec-6-3', 'fast',"
        " false, 1, now()) RETURNING id",
        bucket,
        tenant,
    )
    for key, age in (("old", "2 days"), ("young", "1 hour"), ("busy", "2 days")):
        ask(
            "SELECT commit_upload(jsonb_build_object('id', %s::uuid, 'bucket_id', %s::uuid, 'key',"
            " %s::text, 'owner_id', %s::uuid, 'headers', '{}'::jsonb, 'metadata', '{}'::jsonb,"
            " 'tags', '{}'::jsonb, 'storage_class', 'STANDARD', 'storage_policy', 'ec-6-3',"
            " 'lock_hold', false), now() - %s::interval)",
            new_id(),
            bucket,
            key,
            tenant,
            age,
        )
    busy = ask("SELECT id FROM upload WHERE key = 'busy'")[0][0]
    ask(
        "INSERT INTO part (id, upload_id, number, size, etag, checksums, seq, last_modified)"
        " VALUES (%s, %s, 1, 0, '', '{}', 1, now()) RETURNING id",
        new_id(),
        busy,
    )

    run(sweep_uploads.sweep_uploads)

    assert ask("SELECT key FROM upload ORDER BY key") == [("busy",), ("young",)]
