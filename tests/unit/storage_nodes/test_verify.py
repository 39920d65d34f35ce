"""Verification finds whatever is wrong with any shard or copy, names it, and has it repaired."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from core import config as configuration
from core.errors import ShardCorrupt
from storage_nodes import encoder, layouts
from storage_nodes.pack_format import RECORD_HEADER
from storage_nodes.policy import policy
from storage_nodes.rebuild import Coded
from storage_nodes.shard_file import (
    HEADER_SIZE,
    BlockSums,
    footer_size,
)
from storage_nodes.shard_name import ShardName
from storage_nodes.stores.memory import MemoryShardReader, MemoryShardStore
from storage_nodes.verify import coded, text, walk
from storage_nodes.verify.findings import Finding, Tally, Throttle
from tests.support.drives import CLUSTER, MemoryStorage, SealedPack, ask, forget
from workers import encode, repair
from workers import storage as worker_storage

BLOCK = 65536
OTHER = UUID(int=0xABC)


class Bench:
    """A coded segment of several stripes on nine drives, and another beside it."""

    def __init__(self) -> None:
        self.stores = {n: MemoryShardStore() for n in range(1, 10)}
        self.coded = self._segment(UUID(int=0x123), epoch=5)
        self.older = self._segment(UUID(int=0x123), epoch=4)
        self.other = self._segment(OTHER, epoch=5)

    def _segment(self, segment: UUID, epoch: int) -> Coded:
        space = random.Random(segment.int + epoch).randbytes(6 * 200_000)
        made = Coded(
            cluster=CLUSTER,
            segment=segment,
            epoch=epoch,
            policy=policy("ec-6-3"),
            cell_size=131072,
            size=len(space),
            drives=list(range(1, 10)),
        )
        plan = encoder.Plan(
            cluster=CLUSTER,
            segment=segment,
            epoch=epoch,
            policy=made.policy,
            cell_size=made.cell_size,
            drives=made.drives,
        )
        asyncio.run(encoder.write(plan, space, self.stores))
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


def flip(file: bytearray, place: int) -> None:
    file[place] ^= 4


def swap_in(bench: Bench, index: int, of: Coded, other: int) -> None:
    file = bench.stores[other + 1].shards[of.name(other)]
    bench.stores[index + 1].shards[bench.coded.name(index)] = bytearray(file)


def shorter(file: bytearray, by: int) -> None:
    del file[-by:]


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


def test_a_drive_that_cannot_read_or_be_reached_is_told_apart(bench: Bench, monkeypatch) -> None:
    bench.stores[4].gone = True
    healthy = MemoryShardReader.read

    async def read(reader: MemoryShardReader, offset: int, length: int) -> bytes:
        if reader.name == bench.coded.name(6):
            raise ShardCorrupt("The drive cannot read the shard: Input/output error.")
        return await healthy(reader, offset, length)

    monkeypatch.setattr(MemoryShardReader, "read", read)

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


async def test_a_throttled_reader_waits_for_its_turn(monkeypatch) -> None:
    slept = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    throttle = Throttle(rate=1_000_000.0)

    for _ in range(5):
        await throttle.took(1_000_000)

    # The time spent here is taken off; a second for each, and one is free.
    assert sum(slept) > 5.0
    assert throttle.tally.bytes == 5_000_000


# --- a whole store: rows in PostgreSQL, drives in memory ---


class Claim:
    """A claim that is never lost."""

    job_id = UUID(int=1)

    def check(self) -> None:
        return


@dataclass
class House:
    drives: MemoryStorage

    def verify(self, **wanted: object) -> walk.Result:
        cluster = walk.Cluster(
            id=CLUSTER, store=self.drives.everything.__getitem__, drives=tuple(range(1, 13))
        )
        return walk.verify(cluster, walk.Wanted(**wanted))  # type: ignore[arg-type]

    def mend(self, segment: UUID) -> None:
        for _ in repair.repair(str(segment), None, Claim()):  # type: ignore[arg-type]
            pass

    def encode(self, segment: UUID) -> layouts.SegmentRow:
        for _ in encode.encode(str(segment), None, Claim()):  # type: ignore[arg-type]
            pass
        return self.row(segment)

    def row(self, segment: UUID) -> layouts.SegmentRow:
        row = layouts.segment(segment)
        assert row is not None
        return row

    def file(self, row: layouts.SegmentRow, index: int) -> bytearray:
        return self.drives.file(row.drives[index], row.id, row.epoch, index)


@pytest.fixture
def house(database: str) -> Iterator[House]:
    ask("DELETE FROM segment RETURNING id")
    ask("DELETE FROM retired_layout RETURNING id")
    drives = MemoryStorage()
    worker_storage.install(drives)
    with configuration.override(jobs={"grace_s": 3600.0}, packing={"seal_min_bytes": 1}):
        yield House(drives)
    worker_storage.install(None)


def kinds(result: walk.Result) -> list[tuple[str, int | None, int | None]]:
    return [(one.kind, one.index, one.drive) for one in result.findings]


def test_coded_segments_and_packs_in_order_are_whole(house: House) -> None:
    house.encode(SealedPack(house.drives, [100, 70_000]).id)
    SealedPack(house.drives, [5, 200_000, 3_000_000], seed=2)

    result = house.verify()

    assert result.is_whole
    assert result.document()["found"] == {}
    assert (result.tally.segments, result.tally.shards, result.tally.records) == (2, 12, 9)


def test_what_is_found_is_owed_to_repair_and_is_whole_again_byte_for_byte(house: House) -> None:
    row = house.encode(SealedPack(house.drives, [100, 700_000]).id)
    before = {index: bytes(house.file(row, index)) for index in range(9)}
    flip(house.file(row, 1), 30)
    flip(house.file(row, 7), HEADER_SIZE + 3)
    del house.file(row, 4)[5000:]

    result = house.verify()
    house.mend(row.id)

    assert sorted(kinds(result)) == sorted(
        [
            ("corrupt", 1, row.drives[1]),
            ("corrupt", 7, row.drives[7]),
            ("truncated", 4, row.drives[4]),
        ]
    )
    assert result.owed == 3
    assert {i: bytes(house.file(house.row(row.id), i)) for i in range(9)} == before
    assert house.verify().is_whole


def test_without_repair_nothing_is_owed(house: House) -> None:
    row = house.encode(SealedPack(house.drives, [100, 700_000]).id)
    flip(house.file(row, 1), HEADER_SIZE + 3)

    result = house.verify(repair=False)

    assert (result.is_whole, result.owed) == (False, 0)
    assert layouts.known_damage(row) == {}


@pytest.mark.parametrize(
    ("hurt", "kind"),
    [
        (lambda file: flip(file, 30), "corrupt"),
        (lambda file: flip(file, HEADER_SIZE + 20), "corrupt"),
        (lambda file: flip(file, HEADER_SIZE + RECORD_HEADER + 50), "corrupt"),
        (lambda file: flip(file, HEADER_SIZE + RECORD_HEADER + 101), "corrupt"),
        (lambda file: shorter(file, 5000), "truncated"),
        (lambda file: file.clear(), "truncated"),
    ],
    ids=["header", "record header", "payload", "table", "end", "everything"],
)
def test_damage_to_a_copy_is_found_and_repaired(house: House, hurt, kind: str) -> None:
    pack = SealedPack(house.drives, [100, 3_000_000, 200])
    row = house.row(pack.id)
    hurt(house.file(row, 2))

    result = house.verify()
    house.mend(pack.id)

    assert kinds(result) == [(kind, 2, 3)]
    assert result.owed == 1
    assert house.verify().is_whole


def test_a_copy_of_another_segment_is_swapped(house: House) -> None:
    pack, other = (SealedPack(house.drives, [100, 200], seed=seed) for seed in (1, 2))
    wrong = bytearray(house.drives.file(2, other.id, 1, 1))
    house.drives.everything[2].shards[ShardName(pack.id, 1, 1)] = wrong

    assert kinds(house.verify()) == [("swapped", 1, 2)]


def test_records_nobody_names_are_nobodys_worry(house: House) -> None:
    pack = SealedPack(house.drives, [100, 200])
    forget(next(iter(pack.payloads)))
    pack.spoil(house.drives, 1, place=70)

    assert house.verify().is_whole


def test_the_copies_of_an_open_segment_hold_what_their_owner_confirmed(house: House) -> None:
    pack = SealedPack(house.drives, [100, 200, 300])
    ask(
        "UPDATE segment SET state = 'open', owner = 'x', lease_until = now(),"
        " confirmed = '{4096, 300, 0}' WHERE id = %s RETURNING id",
        pack.id,
    )
    for copy in range(3):
        pack.spoil(house.drives, copy, place=70)

    result = house.verify()

    assert kinds(result) == [("corrupt", 0, 1), ("corrupt", 1, 2)]
    assert result.owed == 0  # its owner seals it first


def test_a_segment_that_moves_while_it_is_read_is_read_where_it_is_now(
    house: House, monkeypatch
) -> None:
    pack = SealedPack(house.drives, [100, 700_000])
    pack.spoil(house.drives, 0)
    known = walk.rows.segment
    moved = []

    def meanwhile(segment: UUID):
        if not moved:
            moved.append(house.encode(segment))
        return known(segment)

    monkeypatch.setattr(walk.rows, "segment", meanwhile)

    assert house.verify().is_whole
    assert moved[0].layout == "coded"


def test_files_no_row_names_are_reported_and_left_alone(house: House) -> None:
    row = house.encode(SealedPack(house.drives, [100, 700_000]).id)
    stranger = ShardName(OTHER, 3, 1)
    copy = ShardName(row.id, row.epoch, 0)
    elsewhere = next(drive for drive in range(1, 13) if drive not in row.drives)
    house.drives.everything[1].shards[stranger] = bytearray(b"x" * 10)
    house.drives.everything[elsewhere].shards[copy] = bytearray(house.file(row, 0))

    result = house.verify()

    assert sorted(kinds(result)) == sorted([("orphan", 1, 1), ("orphan", 0, elsewhere)])
    assert result.is_whole
    assert stranger in house.drives.everything[1].shards
    assert copy in house.drives.everything[elsewhere].shards


def test_one_drive_or_one_segment_can_be_asked_for(house: House) -> None:
    first = house.encode(SealedPack(house.drives, [100, 700_000]).id)
    second = house.encode(SealedPack(house.drives, [300, 600_000], seed=2).id)
    flip(house.file(first, 0), HEADER_SIZE)
    flip(house.file(second, 5), HEADER_SIZE)

    by_segment = house.verify(segment=first.id)
    by_drive = house.verify(drive=second.drives[5])

    assert kinds(by_segment) == [("corrupt", 0, first.drives[0])]
    found = kinds(by_drive)
    assert ("corrupt", 5, second.drives[5]) in found
    assert {drive for _, _, drive in found} == {second.drives[5]}


def test_drives_out_of_reach_are_counted_not_listed(house: House) -> None:
    row = house.encode(SealedPack(house.drives, [100, 700_000]).id)
    house.drives.everything[row.drives[3]].gone = True

    document = house.verify().document()

    assert not document["whole"]
    assert document["unreachable"] == [{"drive": row.drives[3], "shards": 1}]
    assert document["unlisted"] == [row.drives[3]]
    assert document["findings"] == []
    assert document["findings_left_out"] == 0


def test_a_drive_that_does_not_answer_is_waited_for_once(house: House, monkeypatch) -> None:
    rows = [house.encode(SealedPack(house.drives, [700_000], seed=n).id) for n in range(4)]
    silent = max(range(1, 13), key=lambda drive: sum(drive in row.drives for row in rows))
    held = sum(silent in row.drives for row in rows)
    house.drives.everything[silent].gone = True
    asked = []
    opened = MemoryShardStore.open

    async def open_(store: MemoryShardStore, name: ShardName):
        if store is house.drives.everything[silent]:
            asked.append(name)
        return await opened(store, name)

    monkeypatch.setattr(MemoryShardStore, "open", open_)

    document = house.verify().document()

    assert held > 1
    assert document["unreachable"] == [{"drive": silent, "shards": held}]
    assert len(asked) == 1


def test_the_page_says_everything_in_sentences(house: House) -> None:
    row = house.encode(SealedPack(house.drives, [100, 700_000]).id)
    house.file(row, 4).append(1)

    document = house.verify().document()

    page = text.page(document)
    assert (
        f"Shard 4 of segment {row.id}, epoch {row.epoch}, on drive {row.drives[4]} is corrupt:"
        in page
    )
    assert "Its repair is owed." in page
    assert text.verdict(document) == "Not everything is whole: 1 corrupt; repairs owed: 1."


def test_the_page_has_the_right_words_for_one_and_for_many(house: House) -> None:
    row = house.encode(SealedPack(house.drives, [100, 700_000]).id)
    found = house.verify().document()
    blocks = found["blocks"]

    assert text.page(found).startswith(f"1 segment: 9 shards, {blocks} blocks, ")

    told = {
        **found,
        **{"segments": 2, "shards": 1, "blocks": 1, "writing": 1, "findings_left_out": 1},
        "unreachable": [
            {"drive": row.drives[0], "shards": 1},
            {"drive": row.drives[1], "shards": 2},
        ],
    }
    lines = text.page(told).splitlines()
    assert lines[0].startswith("2 segments: 1 shard, 1 block, ")
    assert lines[1:5] == [
        "Passed over: 1 segment still being written.",
        f"Drive {row.drives[0]} cannot be reached: 1 shard not read.",
        f"Drive {row.drives[1]} cannot be reached: 2 shards not read.",
        "Not listed: 1 more.",
    ]


def test_progress_is_told_while_pieces_are_read(house: House) -> None:
    house.encode(SealedPack(house.drives, [100, 700_000]).id)
    told: list[tuple[int, int, int]] = []
    cluster = walk.Cluster(
        id=CLUSTER, store=house.drives.everything.__getitem__, drives=tuple(range(1, 13))
    )

    walk.verify(
        cluster,
        walk.Wanted(),
        lambda tally, total, found: told.append((tally.bytes, total, found)),
    )

    assert told[-1][0] > 700_000
    assert {(total, found) for _, total, found in told} == {(1, 0)}


def test_the_line_on_a_terminal_is_written_over() -> None:
    written: list[str] = []
    line = text.ProgressLine(written.append)
    line._written -= 2
    line._began -= 2

    line(Tally(segments=3, bytes=1 << 20), 7, 1)
    line(Tally(segments=4, bytes=1 << 20), 7, 1)
    line.end()

    assert len(written) == 2
    assert written[0].startswith("\r3 of 7 segments, 1 MiB read,")
    assert "/s, 1 finding\033" in written[0]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--drive", "4711"], "There is no drive 4711."),
        (["--segment", str(OTHER)], f"There is no segment {OTHER} with anything to verify."),
        (["--segment", "x"], "invalid UUID value"),
        (["--rate", "0"], "a rate is a number of megabytes a second, more than 0"),
        (["--rate", "nan"], "a rate is a number of megabytes a second, more than 0"),
    ],
)
def test_what_cannot_be_verified_is_refused_in_a_sentence(
    database: str, given: list[str], says: str
) -> None:
    with pytest.raises(CommandError, match=re.escape(says)):
        call_command("cluster", "verify", *given)
