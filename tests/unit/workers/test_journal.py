"""The journal: every change once on several drives, whatever stops where."""

from __future__ import annotations

import asyncio

import orjson
import psycopg
import pytest

from buckets import control
from core import failpoints
from core.errors import FailpointRaised
from jobs import statements
from storage_nodes.journal_format import START
from storage_nodes.shard_name import FileName, JournalName
from tenants import accounts
from tests.support.drives import MemoryStorage
from tests.support.journals import (
    begin,
    change,
    copy_changes,
    files,
    kinds,
    parsed,
    reached,
    settle,
)
from workers import journal
from workers import storage as worker_storage
from workers.journal import MOST_CHANGES, SNAPSHOT


def test_a_history_begins_with_a_snapshot(drives: MemoryStorage) -> None:
    accounts.create_tenant("alice")
    copy_changes()
    assert files(drives) == {}

    copy_changes(SNAPSHOT)

    [copies] = files(drives, "snap").values()
    header, entries, _ = parsed(copies[0])
    rows = [orjson.loads(entry.payload) for entry in entries]
    assert header.after == START
    assert rows[0]["kind"] == "snapshot"
    assert [row["body"]["name"] for row in rows if row["kind"] == "tenant"] == ["alice"]


def test_a_change_is_on_four_drives_in_three_zones_byte_for_byte(drives: MemoryStorage) -> None:
    begin()
    change()
    copy_changes()

    [(name, copies)] = list(files(drives).items())
    holders = {n for n, store in drives.everything.items() if name in store.shards}
    assert len(copies) == 4
    assert len(set(copies)) == 1
    assert len({n % 3 for n in holders}) == 3


def test_every_change_is_copied_in_the_order_of_its_transaction(drives: MemoryStorage) -> None:
    begin()
    for kind in ("one", "two", "three"):
        change(kind)
    copy_changes()
    change("four")
    copy_changes()

    assert [kind for kind in kinds(drives) if kind != "configuration"][-4:] == [
        "one",
        "two",
        "three",
        "four",
    ]


def test_files_follow_each_other_without_a_gap(drives: MemoryStorage) -> None:
    begin()
    for _ in range(3):
        change()
        copy_changes()

    read = [parsed(copies[0]) for copies in files(drives).values()]
    assert [header.after for header, _, _ in read][1:] == [footer.last for _, _, footer in read][
        :-1
    ]
    assert read[-1][2].last == reached()


def test_a_round_without_changes_writes_nothing(drives: MemoryStorage) -> None:
    begin()
    change()
    copy_changes()
    before = files(drives)
    copy_changes()

    assert files(drives) == before


def test_many_changes_go_into_several_files(drives: MemoryStorage) -> None:
    begin()
    many = MOST_CHANGES * 3 // 4
    for _ in range(3):
        change(number=many)
    copy_changes()

    assert [len(parsed(copies[0])[1]) for copies in files(drives).values()] == [2 * many, many]
    assert kinds(drives).count("test") == 3 * many


def test_what_is_committed_while_a_file_is_written_waits_for_the_next_round(
    database: str, drives: MemoryStorage
) -> None:
    begin()
    change("before")
    once = iter(["meanwhile"])

    async def attend(step: str, _: FileName) -> None:
        for kind in once:
            with psycopg.connect(database) as client:
                client.execute("INSERT INTO change (kind) VALUES (%s)", [kind])

    drives.attend(attend)
    copy_changes()

    assert kinds(drives)[-1:] == ["before"]
    copy_changes()
    assert kinds(drives)[-2:] == ["before", "meanwhile"]


def test_a_transaction_is_never_split(drives: MemoryStorage) -> None:
    begin()
    change(number=MOST_CHANGES + 15)
    change(number=3)
    copy_changes()

    lengths = [len(parsed(copies[0])[1]) for copies in files(drives).values()]
    assert lengths == [MOST_CHANGES + 15, 3]


def test_a_change_that_commits_late_is_not_skipped(database: str, drives: MemoryStorage) -> None:
    begin()
    with psycopg.connect(database) as late:
        late.execute("INSERT INTO change (kind) VALUES ('late')")
        change("early")
        copy_changes(settled=False)
        assert "early" not in kinds(drives)
        late.commit()
    copy_changes()

    assert kinds(drives)[-2:] == ["late", "early"]


@pytest.mark.parametrize("point", ["journal.read", "journal.published"])
def test_a_round_that_stops_anywhere_is_made_up_for(drives: MemoryStorage, point: str) -> None:
    begin()
    change("first")
    failpoints.arm(f"{point}=raise@1")
    with pytest.raises(FailpointRaised):
        copy_changes()
    failpoints.arm("")
    change("second")
    copy_changes()

    assert {"first", "second"} <= set(kinds(drives))
    last = parsed(list(files(drives).values())[-1][0])
    assert [orjson.loads(entry.payload)["kind"] for entry in last[1]][-1] == "second" or (
        reached() >= last[2].last
    )


def test_a_snapshot_that_stopped_before_it_counted_is_taken_again(drives: MemoryStorage) -> None:
    copy_changes()
    failpoints.arm("journal.snapshot=raise@1")
    with pytest.raises(FailpointRaised):
        copy_changes(SNAPSHOT)
    failpoints.arm("")
    copy_changes(SNAPSHOT)

    assert len(files(drives, "snap")) == 2
    newest = max(files(drives, "snap")).number
    assert statements.rows("SELECT snapshot FROM journal_state") == [(newest,)]


def test_of_two_rounds_at_once_one_counts_and_nothing_is_lost(drives: MemoryStorage) -> None:
    begin()
    change("both")
    here = worker_storage.storage()
    known = journal._lineage(here)
    change("more")
    settle()
    journal._copy(known, here)
    journal._copy(known, here)
    change("later")
    copy_changes()

    assert {"both", "more", "later"} <= set(kinds(drives))
    numbers = [name.number for name in files(drives)]
    assert numbers == [numbers[0], numbers[0], numbers[0] + 1]


def test_places_and_segments_enter_the_journal_when_they_change(database: str) -> None:
    statements.changed("INSERT INTO zone (name) VALUES ('east')")
    segment = (
        "INSERT INTO segment (id, storage_policy, layout, state, owner, lease_until, drives,"
        " confirmed) VALUES (gen_random_uuid(), 'ec-6-3', 'replicated', 'open', 'me', now(),"
        " '{1,2,3}', '{0,0,0}')"
    )
    statements.changed(segment)
    statements.changed("UPDATE segment SET lease_until = now() + interval '1 hour'")
    statements.changed("UPDATE segment SET confirmed = '{1,1,1}', size = 1")
    statements.changed("DELETE FROM segment")

    found = statements.rows(
        "SELECT kind, body ->> 'table', body ->> 'operation' FROM change"
        " WHERE kind IN ('place', 'segment') ORDER BY seq"
    )
    assert found == [
        ("place", "zone", "insert"),
        ("segment", "segment", "insert"),
        ("segment", "segment", "update"),
        ("segment", "segment", "delete"),
    ]


def test_configuration_is_copied_with_its_secrets_sealed(drives: MemoryStorage) -> None:
    begin()
    created = accounts.create_tenant("alice")
    control.create(created.tenant.id, "a-bucket", region="us-east-1")
    copy_changes()

    [copies] = files(drives).values()
    assert created.secret.encode() not in copies[0]
    tables = {orjson.loads(entry.payload)["body"].get("table") for entry in parsed(copies[0])[1]}
    assert {"tenant", "account_user", "access_key", "bucket", "audit"} <= tables


def test_journal_files_are_found_by_listing(drives: MemoryStorage) -> None:
    begin()

    async def names() -> list[JournalName]:
        return [
            name for store in drives.everything.values() async for name in store.journal_names()
        ]

    assert len(asyncio.run(names())) == 4
