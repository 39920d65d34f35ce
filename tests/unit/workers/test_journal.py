"""The journal: every change once on several drives, whatever stops where."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import UUID

import orjson
import psycopg
import pytest

from buckets import control
from core import failpoints
from core.errors import FailpointRaised, QuorumNotMet
from jobs import queries
from storage_nodes.journal_format import START, Decoder, Entry, JournalFooter, JournalHeader, Place
from storage_nodes.shard_name import JournalName
from tenants import accounts
from tests.support.drives import MemoryStorage
from tests.support.local_store import wait_for
from workers import journal as family
from workers import storage as worker_storage
from workers.journal import SNAPSHOT


class Claim:
    """A claim that is never lost."""

    job_id = UUID(int=1)

    def check(self) -> None:
        return


@pytest.fixture
def drives(database: str) -> Iterator[MemoryStorage]:
    made = MemoryStorage()
    worker_storage.install(made)
    yield made
    worker_storage.install(None)
    failpoints.arm("")


SETTLED = "SELECT count(*) FROM change WHERE xid >= pg_snapshot_xmin(pg_current_snapshot())"


def settle() -> None:
    """Wait until no transaction runs that began before the latest change: the server is shared
    with other tests, and theirs count.
    """
    wait_for(lambda: queries.rows(SETTLED) == [(0,)], "older transactions to end")


def run(subject: str = "", *, settled: bool = True) -> None:
    if settled:
        settle()
    for _ in family.journal(subject, None, Claim()):  # type: ignore[arg-type]
        pass


def begin() -> None:
    """The first round owes the first snapshot; take it."""
    run()
    run(SNAPSHOT)


def change(kind: str = "test", number: int = 1) -> None:
    queries.changed(
        "INSERT INTO change (kind, body) SELECT %(kind)s, jsonb_build_object('n', n)"
        " FROM generate_series(1, %(number)s) n",
        kind=kind,
        number=number,
    )


def files(drives: MemoryStorage, kind: str = "jrn") -> dict[JournalName, list[bytes]]:
    """Every journal file of that kind, with the bytes of all its copies."""
    found: dict[JournalName, list[bytes]] = {}
    for store in drives.everything.values():
        for name, held in store.shards.items():
            if isinstance(name, JournalName) and name.kind == kind:
                found.setdefault(name, []).append(bytes(held))
    return dict(sorted(found.items()))


def parsed(content: bytes) -> tuple[JournalHeader, list[Entry], JournalFooter]:
    decoder = Decoder(len(content))
    entries = list(decoder.feed(content))
    return decoder.header, entries, decoder.finish()


def kinds(drives: MemoryStorage) -> list[str]:
    """The kinds of all changes in the files, by number of file."""
    return [
        orjson.loads(entry.payload)["kind"]
        for copies in files(drives).values()
        for entry in parsed(copies[0])[1]
    ]


def reached() -> Place:
    return Place(*queries.rows("SELECT xid::text::bigint, id FROM journal_state")[0])


def test_a_history_begins_with_a_snapshot(drives: MemoryStorage) -> None:
    accounts.create_tenant("alice")
    run()
    assert files(drives) == {}

    run(SNAPSHOT)

    [copies] = files(drives, "snap").values()
    header, entries, _ = parsed(copies[0])
    rows = [orjson.loads(entry.payload) for entry in entries]
    assert header.after == START
    assert rows[0]["kind"] == "snapshot"
    assert [row["body"]["name"] for row in rows if row["kind"] == "tenant"] == ["alice"]


def test_a_change_is_on_four_drives_in_three_zones_byte_for_byte(drives: MemoryStorage) -> None:
    begin()
    change()
    run()

    [(name, copies)] = list(files(drives).items())
    holders = {n for n, store in drives.everything.items() if name in store.shards}
    assert len(copies) == 4
    assert len(set(copies)) == 1
    assert len({n % 3 for n in holders}) == 3


def test_every_change_is_copied_in_the_order_of_its_transaction(drives: MemoryStorage) -> None:
    begin()
    for kind in ("one", "two", "three"):
        change(kind)
    run()
    change("four")
    run()

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
        run()

    read = [parsed(copies[0]) for copies in files(drives).values()]
    assert [header.after for header, _, _ in read][1:] == [footer.last for _, _, footer in read][
        :-1
    ]
    assert read[-1][2].last == reached()


def test_a_round_without_changes_writes_nothing(drives: MemoryStorage) -> None:
    begin()
    change()
    run()
    before = files(drives)
    run()

    assert files(drives) == before


def test_many_changes_go_into_several_files(
    drives: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(family, "MOST_CHANGES", 10)
    begin()
    for _ in range(5):
        change(number=7)
    run()

    assert [len(parsed(copies[0])[1]) for copies in files(drives).values()] == [14, 14, 7]
    assert kinds(drives).count("test") == 35


def test_a_transaction_is_never_split(
    drives: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(family, "MOST_CHANGES", 10)
    begin()
    change(number=35)
    change(number=3)
    run()

    assert [len(parsed(copies[0])[1]) for copies in files(drives).values()] == [35, 3]


def test_a_change_that_commits_late_is_not_skipped(database: str, drives: MemoryStorage) -> None:
    begin()
    with psycopg.connect(database) as late:
        late.execute("INSERT INTO change (kind) VALUES ('late')")
        change("early")
        run(settled=False)
        assert "early" not in kinds(drives)
        late.commit()
    run()

    assert kinds(drives)[-2:] == ["late", "early"]


@pytest.mark.parametrize("point", ["journal.read", "journal.published"])
def test_a_round_that_stops_anywhere_is_made_up_for(drives: MemoryStorage, point: str) -> None:
    begin()
    change("first")
    failpoints.arm(f"{point}=raise@1")
    with pytest.raises(FailpointRaised):
        run()
    failpoints.arm("")
    change("second")
    run()

    assert {"first", "second"} <= set(kinds(drives))
    last = parsed(list(files(drives).values())[-1][0])
    assert [orjson.loads(entry.payload)["kind"] for entry in last[1]][-1] == "second" or (
        reached() >= last[2].last
    )


def test_a_snapshot_that_stopped_before_it_counted_is_taken_again(drives: MemoryStorage) -> None:
    run()
    failpoints.arm("journal.snapshot=raise@1")
    with pytest.raises(FailpointRaised):
        run(SNAPSHOT)
    failpoints.arm("")
    run(SNAPSHOT)

    assert len(files(drives, "snap")) == 2
    newest = max(files(drives, "snap")).number
    assert queries.rows("SELECT snapshot FROM journal_state") == [(newest,)]


def test_of_two_rounds_at_once_one_counts_and_nothing_is_lost(drives: MemoryStorage) -> None:
    begin()
    change("both")
    here = worker_storage.storage()
    known = family._lineage(here)
    change("more")
    settle()
    family._copy(known, here)
    family._copy(known, here)
    change("later")
    run()

    assert {"both", "more", "later"} <= set(kinds(drives))
    numbers = [name.number for name in files(drives)]
    assert numbers == [numbers[0], numbers[0], numbers[0] + 1]


def test_a_failing_drive_is_left_out_and_made_up_for(drives: MemoryStorage) -> None:
    begin()
    [holder, *_] = [n for n, store in drives.everything.items() if store.shards]
    drives.everything[holder].fenced = True
    change()
    run()
    [name, *_] = files(drives)
    assert len(files(drives)[name]) == 3

    drives.only_reads(holder)
    queries.changed("UPDATE journal_state SET tended = NULL")
    run()

    assert [len(copies) for copies in files(drives).values()] == [4]


def test_too_few_drives_write_nothing_that_counts(drives: MemoryStorage) -> None:
    begin()
    change()
    before = reached()
    for store in list(drives.everything.values())[2:]:
        store.fenced = True

    with pytest.raises(QuorumNotMet):
        run()

    assert reached() == before


def test_a_lost_drives_copies_are_put_elsewhere(drives: MemoryStorage) -> None:
    begin()
    change()
    run()
    [holder, *_] = [n for n, store in drives.everything.items() if store.shards]
    drives.lose(holder)
    queries.changed("UPDATE journal_state SET tended = NULL")
    run()

    copies = [*files(drives).values(), *files(drives, "snap").values()]
    assert [len(each) for each in copies] == [4, 4]
    assert all(len(set(each)) == 1 for each in copies)


def test_a_damaged_copy_is_never_the_source_of_another(drives: MemoryStorage) -> None:
    begin()
    change()
    run()
    [first, second, *_] = [n for n, store in drives.everything.items() if store.shards]
    for name, held in drives.everything[first].shards.items():
        if isinstance(name, JournalName):
            held[200] ^= 1
    drives.lose(second)
    queries.changed("UPDATE journal_state SET tended = NULL")
    run()

    [copies] = files(drives).values()
    assert len(copies) == 4
    assert sorted(copies.count(each) for each in set(copies)) == [1, 3]


def test_a_snapshot_is_owed_when_the_files_have_grown(
    drives: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin()
    monkeypatch.setattr(family, "LEAST_BYTES", 1)
    change(number=2000)
    run()

    assert queries.rows("SELECT subject FROM job WHERE family = 'journal'") == [(SNAPSHOT,)]


def test_what_the_second_newest_snapshot_made_needless_is_trashed(
    drives: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(family, "LEAST_BYTES", 1)
    monkeypatch.setattr(family, "_snapshot_is_due", lambda known: known.segments > 0)
    begin()
    change("oldest")
    for kind in ("old", "new", "newest"):
        run()
        run(SNAPSHOT)
        change(kind)
    queries.changed("UPDATE journal_state SET tended = NULL")
    run()

    assert len(files(drives, "snap")) == 2
    second = min(files(drives, "snap")).number
    assert all(name.number > second for name in files(drives))
    assert set(kinds(drives)) == {"new", "newest"}


def test_a_database_put_back_begins_a_history_of_its_own(drives: MemoryStorage) -> None:
    begin()
    for _ in range(3):
        change()
        run()
    newest = max(files(drives)).number
    lineage = queries.rows("SELECT lineage FROM journal_state")
    queries.changed("UPDATE journal_state SET number = 1, tended = NULL")
    run()
    begin()

    assert queries.rows("SELECT lineage FROM journal_state") != lineage
    assert max(files(drives, "snap")).number > newest


def test_a_restored_backup_begins_a_history_of_its_own(drives: MemoryStorage) -> None:
    begin()
    queries.changed("UPDATE journal_state SET origin = 'another timeline'")
    run()

    assert queries.rows("SELECT snapshot FROM journal_state") == [(None,)]


def days(database: str) -> set[str]:
    return {
        row[0]
        for row in queries.rows(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'change'::regclass"
        )
    }


def test_days_go_only_when_all_their_changes_are_on_drives(
    database: str, drives: MemoryStorage
) -> None:
    begin()
    for day in ("2020-01-01", "2020-01-02"):
        name = f"change_{day.replace('-', '')}"
        queries.changed(
            f"CREATE TABLE {name} PARTITION OF change FOR VALUES"
            f" FROM ('{day}') TO (date '{day}' + 1)"
        )
    queries.changed("INSERT INTO change (kind, at) VALUES ('copied', '2020-01-01')")
    queries.changed("UPDATE journal_state SET tended = now()")
    run()
    queries.changed("INSERT INTO change (kind, at) VALUES ('new', '2020-01-02')")
    queries.rows("SELECT journal_drop_covered(3)")

    assert "change_20200101" not in days(database)
    assert "change_20200102" in days(database)


def test_no_day_goes_before_the_journal_began(database: str) -> None:
    queries.changed(
        "CREATE TABLE change_20200101 PARTITION OF change"
        " FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')"
    )

    assert queries.rows("SELECT journal_drop_covered(3)") == [(0,)]


def test_places_and_segments_enter_the_journal_when_they_change(database: str) -> None:
    queries.changed("INSERT INTO zone (name) VALUES ('east')")
    segment = (
        "INSERT INTO segment (id, storage_policy, layout, state, owner, lease_until, drives,"
        " confirmed) VALUES (gen_random_uuid(), 'ec-6-3', 'replicated', 'open', 'me', now(),"
        " '{1,2,3}', '{0,0,0}')"
    )
    queries.changed(segment)
    queries.changed("UPDATE segment SET lease_until = now() + interval '1 hour', live_bytes = 9")
    queries.changed("UPDATE segment SET confirmed = '{1,1,1}', size = 1")
    queries.changed("DELETE FROM segment")

    found = queries.rows(
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
    run()

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
