"""Repair: shards that lie in trash while their segment's row names them come back out of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from core import clock
from core import config as configuration
from jobs.step import NotYet
from storage_nodes import layouts, rebuild, returning
from storage_nodes.shard_file import HEADER_SIZE
from storage_nodes.shard_name import ShardName
from storage_nodes.stores.memory import MemoryShardStore
from tests.support.coded import coded, payload_of
from tests.support.drives import MemoryStorage, SealedPack, ask, big
from tests.support.nodes import RunningNode, running_node
from tests.support.shard_stores import content, publish
from tests.support.verifying import Stock
from tests.support.work import perform
from workers import collect, encode, repair
from workers.storage import run

DAY_S = 24 * 3600.0


@pytest.fixture(autouse=True)
def trash_stays(drives: MemoryStorage) -> Iterator[None]:
    with configuration.override(jobs={"grace_s": 0.0, "trash_s": DAY_S}):
        yield


def _trash(drives: MemoryStorage, row: layouts.SegmentRow, *indexes: int) -> None:
    for index in indexes:
        name = ShardName(row.id, row.epoch, index)
        assert asyncio.run(drives.everything[row.drives[index]].trash(name))


def _back_in_time(drives: MemoryStorage, pack: SealedPack) -> layouts.SegmentRow:
    """The pack was coded and its copies trashed; then the database went back to before that."""
    before = layouts.segment(pack.id)
    perform(encode.encode, pack.id)
    perform(collect.collect)
    assert not {(1, f"{pack.id.hex}.1.0")} & drives.files()
    ask("DELETE FROM retired_layout RETURNING id")
    ask(
        "UPDATE segment SET layout = 'replicated', state = 'sealed', epoch = 1, drives = %s,"
        " size = %s, cell_size = NULL, confirmed = %s, successor = NULL WHERE id = %s RETURNING id",
        list(before.drives),
        before.size,
        list(before.confirmed),
        pack.id,
    )
    assert layouts.segment(pack.id) == before
    return before


def test_copies_an_older_database_names_come_out_of_trash(drives):
    pack = big(drives)
    row = _back_in_time(drives, pack)

    perform(repair.repair, pack.id)

    assert layouts.segment(pack.id) == row
    assert not layouts.known_damage(row)
    assert {(drive, f"{pack.id.hex}.1.{n}") for n, drive in enumerate(row.drives)} <= drives.files()
    assert Stock(drives).verify(segment=pack.id).is_whole
    perform(encode.encode, pack.id)
    assert {v: payload_of(drives, v) for v in pack.payloads} == pack.payloads


def test_a_verification_owes_the_return_of_what_lies_in_trash(drives):
    pack = big(drives)
    _back_in_time(drives, pack)

    found = Stock(drives).verify(segment=pack.id)

    assert {one.kind for one in found.findings} == {"missing"}
    assert found.owed == 3
    assert ask("SELECT subject FROM job WHERE family = 'repair'") == [(str(pack.id),)]


def test_an_encoding_that_cannot_read_the_copies_owes_their_return(drives):
    pack = big(drives)
    _back_in_time(drives, pack)

    with pytest.raises(NotYet):
        perform(encode.encode, pack.id)

    assert ask("SELECT subject FROM job WHERE family = 'repair'") == [(str(pack.id),)]


def test_more_trashed_shards_than_parity_come_back(drives):
    pack = big(drives)
    perform(encode.encode, pack.id)
    row = layouts.segment(pack.id)
    _trash(drives, row, 0, 2, 4, 6, 8)

    perform(repair.repair, pack.id)

    assert layouts.segment(pack.id) == row
    assert not layouts.known_damage(row)
    assert {v: payload_of(drives, v) for v in pack.payloads} == pack.payloads


def test_what_comes_out_of_trash_damaged_is_made_anew(drives):
    pack = big(drives)
    perform(encode.encode, pack.id)
    row = layouts.segment(pack.id)
    drives.file(row.drives[2], pack.id, row.epoch, 2)[HEADER_SIZE + 5] ^= 1
    _trash(drives, row, 2, 3)

    perform(repair.repair, pack.id)

    after = layouts.segment(pack.id)
    assert (after.drives[2] != row.drives[2], after.drives[3]) == (True, row.drives[3])
    assert not layouts.known_damage(after)
    assert all(
        asyncio.run(rebuild.is_whole(coded(after), index, drives.stores[drive]))
        for index, drive in enumerate(after.drives)
    )


def test_what_came_out_of_trash_counts_only_when_it_has_been_read(drives):
    """A repair that dies in between leaves a file under its name; the next reads it through."""
    pack = big(drives)
    perform(encode.encode, pack.id)
    row = layouts.segment(pack.id)
    drives.file(row.drives[2], pack.id, row.epoch, 2)[HEADER_SIZE + 5] ^= 1
    _trash(drives, row, 2)
    assert returning.begin(row, 2)
    asyncio.run(returning.take_out(row, [2], drives.stores))

    perform(repair.repair, pack.id)

    after = layouts.segment(pack.id)
    assert asyncio.run(rebuild.is_whole(coded(after), 2, drives.stores[after.drives[2]]))


def test_a_shard_its_fenced_drive_keeps_in_trash_is_made_anew_elsewhere(drives):
    pack = big(drives)
    perform(encode.encode, pack.id)
    row = layouts.segment(pack.id)
    _trash(drives, row, 2)
    drives.everything[row.drives[2]].fenced = True
    drives.only_reads(row.drives[2])

    perform(repair.repair, pack.id)

    assert layouts.segment(pack.id).drives[2] != row.drives[2]
    assert {v: payload_of(drives, v) for v in pack.payloads} == pack.payloads


class Interrupted(MemoryShardStore):
    """A drive before whose next answer to `restore` or `trash` the database changes."""

    def __init__(self, held: MemoryShardStore, url: str, statement: str) -> None:
        super().__init__(held.drive)
        self.shards, self.trashed = held.shards, held.trashed
        self._url, self._statement = url, statement

    async def restore(self, name):
        self._change()
        return await super().restore(name)

    async def trash(self, name):
        self._change()
        return await super().trash(name)

    def _change(self) -> None:
        statement, self._statement = self._statement, ""
        if statement:
            with psycopg.connect(self._url, autocommit=True) as elsewhere:
                elsewhere.execute(statement)


def test_what_the_row_does_not_name_any_more_stays_in_trash(drives):
    pack = big(drives)
    perform(encode.encode, pack.id)
    row = layouts.segment(pack.id)
    _trash(drives, row, 2)
    ask("SELECT bury(%s, interval '0')", pack.id)

    assert not returning.begin(row, 2)
    perform(repair.repair, pack.id)

    assert (row.drives[2], f"{pack.id.hex}.{row.epoch}.2") not in drives.files()


def test_what_is_given_up_while_it_comes_out_of_trash_goes_back(drives, database):
    pack = big(drives)
    perform(encode.encode, pack.id)
    row = layouts.segment(pack.id)
    _trash(drives, row, 2)
    drives.everything[row.drives[2]] = Interrupted(
        drives.everything[row.drives[2]],
        database,
        f"SELECT bury('{pack.id}', interval '0'); UPDATE retired_layout SET trashed_at = now()",
    )

    with pytest.raises(NotYet):
        perform(repair.repair, pack.id)
    assert (row.drives[2], f"{pack.id.hex}.{row.epoch}.2") in drives.files()
    perform(collect.collect)

    assert (row.drives[2], f"{pack.id.hex}.{row.epoch}.2") not in drives.files()


def test_a_late_collector_that_trashes_a_live_shard_owes_its_return(drives, database):
    pack = big(drives)
    perform(encode.encode, pack.id)
    row = layouts.segment(pack.id)
    index, drive = next(at for at in enumerate(row.drives) if at[1] not in pack.drives)
    file = (drive, f"{pack.id.hex}.{row.epoch}.{index}")
    names_it = f"UPDATE segment SET drives[{index + 1}] = %s WHERE id = '{pack.id}' RETURNING id"
    ask(names_it, 0)
    retired = f"SELECT retire(%s, %s, only_drive(9, {index}, %s), 'coded', interval '0')"
    ask(retired, pack.id, row.epoch, drive)
    late = Interrupted(drives.everything[drive], database, names_it % drive)
    drives.everything[drive] = late

    perform(collect.collect)

    assert layouts.segment(pack.id) == row
    assert file not in drives.files()
    assert layouts.known_damage(row) == {index: "missing"}
    perform(repair.repair, pack.id)
    assert file in drives.files()
    assert not layouts.known_damage(row)


@pytest.fixture
def node() -> Iterator[RunningNode]:
    with running_node(drives=3) as running:
        yield running


def test_copies_in_the_trash_of_real_drives_are_readable_and_verified_again(drives, node):
    pack = big(drives)
    row = layouts.segment(pack.id)
    held = [bytes(drives.file(drive, pack.id, 1, n)) for n, drive in enumerate(row.drives)]
    drives.hide(*range(4, 13))
    for n, drive in enumerate(row.drives):
        name = ShardName(pack.id, 1, n)
        drives.everything[drive] = node.local(n)
        run(publish(drives.everything[drive], name, held[n]))
        assert run(drives.everything[drive].trash(name))
    assert Stock(drives).verify(segment=pack.id).owed == 3

    perform(repair.repair, pack.id)

    assert Stock(drives).verify(segment=pack.id).is_whole
    for n, drive in enumerate(row.drives):
        store = drives.everything[drive]
        assert run(content(store, ShardName(pack.id, 1, n))) == held[n][: 1 << 20]
        assert run(store.unlink_trash(clock.now() + timedelta(days=2))) == 0
        run(store.close())
