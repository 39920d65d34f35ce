"""The upkeep of the journal: copies put back, snapshots, needless files and days dropped, new
histories.
"""

from __future__ import annotations

import pytest

from core import clock
from core.errors import QuorumNotMet
from jobs import statements
from storage_nodes.shard_name import FileName, JournalName
from tests.support.clock import FakeClock
from tests.support.drives import MemoryStorage
from tests.support.journals import begin, change, copy_changes, files, kinds, reached, settle
from tests.support.work import Claim
from workers import journal
from workers.journal import COPY_EVERY_S, LEAST_BYTES, SNAPSHOT

OWED = "SELECT subject FROM job WHERE family = 'journal'"


def test_a_failing_drive_is_left_out_and_made_up_for(drives: MemoryStorage) -> None:
    begin()
    [holder, *_] = [n for n, store in drives.everything.items() if store.shards]
    drives.everything[holder].fenced = True
    change()
    copy_changes()
    [name, *_] = files(drives)
    assert len(files(drives)[name]) == 3

    drives.only_reads(holder)
    statements.changed("UPDATE journal_state SET tended = NULL")
    copy_changes()

    assert [len(copies) for copies in files(drives).values()] == [4]


def test_too_few_drives_write_nothing_that_counts(drives: MemoryStorage) -> None:
    begin()
    change()
    before = reached()
    for store in list(drives.everything.values())[2:]:
        store.fenced = True

    with pytest.raises(QuorumNotMet, match=r"needs 3 drives, [0-2] took it"):
        copy_changes()

    assert reached() == before


def test_a_lost_drives_copies_are_put_elsewhere(drives: MemoryStorage) -> None:
    begin()
    change()
    copy_changes()
    [holder, *_] = [n for n, store in drives.everything.items() if store.shards]
    drives.lose(holder)
    statements.changed("UPDATE journal_state SET tended = NULL")
    copy_changes()

    copies = [*files(drives).values(), *files(drives, "snap").values()]
    assert [len(each) for each in copies] == [4, 4]
    assert all(len(set(each)) == 1 for each in copies)


def test_changes_go_between_the_parts_of_a_long_upkeep(drives: MemoryStorage) -> None:
    begin()
    for _ in range(2):
        change()
        copy_changes()
    [holder, *_] = [n for n, store in drives.everything.items() if store.shards]
    drives.lose(holder)
    statements.changed("UPDATE journal_state SET tended = NULL")
    seen: list[object] = []

    with clock.use(FakeClock()) as fake:
        assert isinstance(fake, FakeClock)

        async def takes_long(step: str, name: FileName) -> None:
            if step == "open":
                fake.advance(COPY_EVERY_S)

        drives.attend(takes_long)
        settle()
        for _ in journal.journal("", None, Claim()):  # type: ignore[arg-type]
            seen.append(reached())
            change()
            settle()

    copies = [*files(drives).values(), *files(drives, "snap").values()]
    assert [len(each) for each in copies] == [4] * len(copies)
    assert len(set(seen)) >= 3


def test_a_damaged_copy_is_never_the_source_of_another(drives: MemoryStorage) -> None:
    begin()
    change()
    copy_changes()
    [first, second, *_] = [n for n, store in drives.everything.items() if store.shards]
    for name, held in drives.everything[first].shards.items():
        if isinstance(name, JournalName):
            held[200] ^= 1
    drives.lose(second)
    statements.changed("UPDATE journal_state SET tended = NULL")
    copy_changes()

    [copies] = files(drives).values()
    assert len(copies) == 4
    assert sorted(copies.count(each) for each in set(copies)) == [1, 3]


def test_a_snapshot_is_owed_when_the_files_have_grown(drives: MemoryStorage) -> None:
    begin()
    statements.changed("DELETE FROM job")
    change()
    copy_changes()
    assert statements.rows(OWED) == []

    statements.changed("UPDATE journal_state SET bytes = %(almost)s", almost=LEAST_BYTES - 1)
    change()
    copy_changes()

    assert statements.rows(OWED) == [(SNAPSHOT,)]


def test_what_the_second_newest_snapshot_made_needless_is_trashed(drives: MemoryStorage) -> None:
    begin()
    change("oldest")
    for kind in ("old", "new", "newest"):
        copy_changes()
        statements.changed("UPDATE journal_state SET snapshot_at = now() - interval '2 days'")
        copy_changes(SNAPSHOT)
        change(kind)
    statements.changed("UPDATE journal_state SET tended = NULL")
    copy_changes()

    assert len(files(drives, "snap")) == 2
    second = min(files(drives, "snap")).number
    assert all(name.number > second for name in files(drives))
    assert set(kinds(drives)) == {"new", "newest"}


def test_a_database_put_back_begins_a_history_of_its_own(drives: MemoryStorage) -> None:
    begin()
    for _ in range(3):
        change()
        copy_changes()
    newest = max(files(drives)).number
    lineage = statements.rows("SELECT lineage FROM journal_state")
    statements.changed("UPDATE journal_state SET number = 1, tended = NULL")
    copy_changes()
    begin()

    assert statements.rows("SELECT lineage FROM journal_state") != lineage
    assert max(files(drives, "snap")).number > newest


def test_a_restored_backup_begins_a_history_of_its_own(drives: MemoryStorage) -> None:
    begin()
    statements.changed("UPDATE journal_state SET origin = 'another timeline'")
    copy_changes()

    assert statements.rows("SELECT snapshot FROM journal_state") == [(None,)]


def days(database: str) -> set[str]:
    return {
        row[0]
        for row in statements.rows(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'change'::regclass"
        )
    }


def test_days_go_only_when_all_their_changes_are_on_drives(
    database: str, drives: MemoryStorage
) -> None:
    begin()
    for day in ("2020-01-01", "2020-01-02"):
        name = f"change_{day.replace('-', '')}"
        statements.changed(
            f"CREATE TABLE {name} PARTITION OF change FOR VALUES"
            f" FROM ('{day}') TO (date '{day}' + 1)"
        )
    statements.changed("INSERT INTO change (kind, at) VALUES ('copied', '2020-01-01')")
    statements.changed("UPDATE journal_state SET tended = now()")
    copy_changes()
    statements.changed("INSERT INTO change (kind, at) VALUES ('new', '2020-01-02')")
    statements.rows("SELECT journal_drop_covered(3)")

    assert "change_20200101" not in days(database)
    assert "change_20200102" in days(database)


def test_no_day_goes_before_the_journal_began(database: str) -> None:
    statements.changed(
        "CREATE TABLE change_20200101 PARTITION OF change"
        " FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')"
    )

    assert statements.rows("SELECT journal_drop_covered(3)") == [(0,)]
