"""A whole store is verified: coded segments, copies and strangers, and repair is owed."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from django.db import connection

from storage_nodes import layouts
from storage_nodes.pack_format import RECORD_HEADER
from storage_nodes.shard_file import HEADER_SIZE
from storage_nodes.shard_name import FileName, ShardName
from storage_nodes.verify import walk
from tests.support.drives import SealedPack, ask, forget
from tests.support.verifying import Stock, flip, shorter

OTHER = UUID(int=0xABC)


def kinds(result: walk.Result) -> list[tuple[str, int | None, int | None]]:
    return [(one.kind, one.index, one.drive) for one in result.findings]


def test_coded_segments_and_packs_in_order_are_whole(stock: Stock) -> None:
    stock.encode(SealedPack(stock.drives, [100, 70_000]).id)
    SealedPack(stock.drives, [5, 200_000, 3_000_000], seed=2)

    result = stock.verify()

    assert result.is_whole
    assert result.document()["found"] == {}
    assert (result.tally.segments, result.tally.shards, result.tally.records) == (2, 12, 9)


def test_what_is_found_is_owed_to_repair_and_is_whole_again_byte_for_byte(stock: Stock) -> None:
    row = stock.encode(SealedPack(stock.drives, [100, 700_000]).id)
    before = {index: bytes(stock.file(row, index)) for index in range(9)}
    flip(stock.file(row, 1), 30)
    flip(stock.file(row, 7), HEADER_SIZE + 3)
    del stock.file(row, 4)[5000:]

    result = stock.verify()
    stock.mend(row.id)

    assert sorted(kinds(result)) == sorted(
        [
            ("corrupt", 1, row.drives[1]),
            ("corrupt", 7, row.drives[7]),
            ("truncated", 4, row.drives[4]),
        ]
    )
    assert result.owed == 3
    assert {i: bytes(stock.file(stock.row(row.id), i)) for i in range(9)} == before
    assert stock.verify().is_whole


def test_without_repair_nothing_is_owed(stock: Stock) -> None:
    row = stock.encode(SealedPack(stock.drives, [100, 700_000]).id)
    flip(stock.file(row, 1), HEADER_SIZE + 3)

    result = stock.verify(repair=False)

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
def test_damage_to_a_copy_is_found_and_repaired(stock: Stock, hurt, kind: str) -> None:
    pack = SealedPack(stock.drives, [100, 3_000_000, 200])
    row = stock.row(pack.id)
    hurt(stock.file(row, 2))

    result = stock.verify()
    stock.mend(pack.id)

    assert kinds(result) == [(kind, 2, 3)]
    assert result.owed == 1
    assert stock.verify().is_whole


def test_a_copy_of_another_segment_is_swapped(stock: Stock) -> None:
    pack, other = (SealedPack(stock.drives, [100, 200], seed=seed) for seed in (1, 2))
    wrong = bytearray(stock.drives.file(2, other.id, 1, 1))
    stock.drives.everything[2].shards[ShardName(pack.id, 1, 1)] = wrong

    assert kinds(stock.verify()) == [("swapped", 1, 2)]


def test_records_nobody_names_are_nobodys_worry(stock: Stock) -> None:
    pack = SealedPack(stock.drives, [100, 200])
    forget(next(iter(pack.payloads)))
    pack.spoil(stock.drives, 1, place=70)

    assert stock.verify().is_whole


def test_the_copies_of_an_open_segment_hold_what_their_owner_confirmed(stock: Stock) -> None:
    pack = SealedPack(stock.drives, [100, 200, 300])
    ask(
        "UPDATE segment SET state = 'open', owner = 'x', lease_until = now(),"
        " confirmed = '{4096, 300, 0}' WHERE id = %s RETURNING id",
        pack.id,
    )
    for copy in range(3):
        pack.spoil(stock.drives, copy, place=70)

    result = stock.verify()

    assert kinds(result) == [("corrupt", 0, 1), ("corrupt", 1, 2)]
    assert result.owed == 0  # its owner seals it first


def test_a_segment_that_moves_while_it_is_read_is_read_where_it_is_now(stock: Stock) -> None:
    pack = SealedPack(stock.drives, [100, 700_000])
    pack.spoil(stock.drives, 0)
    [first, *_] = stock.row(pack.id).drives
    once = iter([pack.id])

    async def attend(step: str, _: FileName) -> None:
        for segment in once:
            await asyncio.to_thread(_encode, stock, segment)

    stock.drives.attend(attend, first)

    assert stock.verify().is_whole
    assert stock.row(pack.id).layout == "coded"


def _encode(stock: Stock, segment: UUID) -> None:
    """In a thread of its own, whose connection ends with it."""
    try:
        stock.encode(segment)
    finally:
        connection.close()


def test_files_no_row_names_are_reported_and_left_alone(stock: Stock) -> None:
    row = stock.encode(SealedPack(stock.drives, [100, 700_000]).id)
    stranger = ShardName(OTHER, 3, 1)
    copy = ShardName(row.id, row.epoch, 0)
    elsewhere = next(drive for drive in range(1, 13) if drive not in row.drives)
    stock.drives.everything[1].shards[stranger] = bytearray(b"x" * 10)
    stock.drives.everything[elsewhere].shards[copy] = bytearray(stock.file(row, 0))

    result = stock.verify()

    assert sorted(kinds(result)) == sorted([("orphan", 1, 1), ("orphan", 0, elsewhere)])
    assert result.is_whole
    assert stranger in stock.drives.everything[1].shards
    assert copy in stock.drives.everything[elsewhere].shards


def test_one_drive_or_one_segment_can_be_asked_for(stock: Stock) -> None:
    first = stock.encode(SealedPack(stock.drives, [100, 700_000]).id)
    second = stock.encode(SealedPack(stock.drives, [300, 600_000], seed=2).id)
    flip(stock.file(first, 0), HEADER_SIZE)
    flip(stock.file(second, 5), HEADER_SIZE)

    by_segment = stock.verify(segment=first.id)
    by_drive = stock.verify(drive=second.drives[5])

    assert kinds(by_segment) == [("corrupt", 0, first.drives[0])]
    found = kinds(by_drive)
    assert ("corrupt", 5, second.drives[5]) in found
    assert {drive for _, _, drive in found} == {second.drives[5]}


def test_drives_out_of_reach_are_counted_not_listed(stock: Stock) -> None:
    row = stock.encode(SealedPack(stock.drives, [100, 700_000]).id)
    stock.drives.everything[row.drives[3]].gone = True

    document = stock.verify().document()

    assert not document["whole"]
    assert document["unreachable"] == [{"drive": row.drives[3], "shards": 1}]
    assert document["unlisted"] == [row.drives[3]]
    assert document["findings"] == []
    assert document["findings_left_out"] == 0


def test_a_drive_that_does_not_answer_is_waited_for_once(stock: Stock) -> None:
    rows = [stock.encode(SealedPack(stock.drives, [700_000], seed=n).id) for n in range(4)]
    silent = max(range(1, 13), key=lambda drive: sum(drive in row.drives for row in rows))
    held = sum(silent in row.drives for row in rows)
    asked = []

    async def attend(step: str, _: FileName) -> None:
        asked.append(step)

    stock.drives.attend(attend, silent)
    stock.drives.everything[silent].gone = True

    document = stock.verify().document()

    assert held > 1
    assert document["unreachable"] == [{"drive": silent, "shards": held}]
    assert asked == ["open"]
