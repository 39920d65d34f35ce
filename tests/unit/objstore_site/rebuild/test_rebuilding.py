"""The database made anew from drives: row for row, whatever happened before."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from core import config as configuration
from core.errors import ConfigurationError
from jobs import statements
from objects import stale_uploads
from objstore_site.rebuild.rebuilding import rebuild
from storage_nodes.journal_format import parse_header
from storage_nodes.node import keyfile
from storage_nodes.node.identity import FORMAT, IDENTITY
from storage_nodes.shard_name import JournalName
from tenants import accounts
from tests.support import session
from tests.support.journals import copy_changes
from tests.support.rebuilding import spill, take_snapshot
from tests.support.rebuilt import Source
from tests.support.repository import REPOSITORY
from tests.support.tables import rows
from workers.journal import SNAPSHOT

GOLDEN = REPOSITORY / "tests" / "golden" / "journal-1"


def format_drive_for(cluster: UUID, path: Path) -> None:
    identity = {"format": FORMAT, "version": 1, "cluster": str(cluster), "drive": str(uuid4())}
    (path / IDENTITY).write_text(json.dumps(identity))


@contextmanager
def lock_of(path: Path) -> Iterator[None]:
    """As the node daemon that serves the drive holds it."""
    fd = os.open(path / "lock", os.O_RDONLY | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(fd)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_everything_comes_back_row_for_row(source: Source, seed: int) -> None:
    source.story(seed, "", "Enabled", "Suspended", "Enabled")

    report = source.rebuild()

    source.check()
    assert report.not_placed == {}
    assert report.gaps == []
    assert report.rows["version"] == len(rows(source.url, ["version"])["version"]) > 0


def test_a_snapshot_alone_is_enough(source: Source) -> None:
    source.story(4, "", "Enabled", steps=15)
    take_snapshot()
    for name in source.journal():
        source.forget(name)

    report = source.rebuild()

    source.check()
    assert report.changes == 0


def test_changes_alone_are_enough(source: Source) -> None:
    source.story(5, "Enabled", steps=30)

    report = source.rebuild()

    source.check()
    assert len(source.journal("snap")) == 1
    assert report.changes > 30


def test_what_was_deleted_stays_deleted(source: Source) -> None:
    bucket = source.bucket("Enabled")
    source.do(bucket, "put", "kept", b"1")
    gone = source.do(bucket, "put", "gone", b"2")
    take_snapshot()
    source.do(bucket, "delete", "gone", gone.version_id)
    late = source.do(bucket, "put", "late", b"3")
    source.do(bucket, "delete", "late", late.version_id)
    copy_changes()

    source.rebuild()

    assert [row["key"] for row in rows(source.target, ["version"])["version"]] == ["kept"]
    source.check()


def test_an_overwritten_version_of_an_unversioned_bucket_does_not_come_back(source: Source) -> None:
    bucket = source.bucket("")
    for content in (b"1", b"22", b"333"):
        source.do(bucket, "put", "key", content)
        copy_changes()

    source.rebuild()

    assert [row["size"] for row in rows(source.target, ["version"])["version"]] == [3]
    source.check()


def test_uploads_that_were_forgotten_stay_forgotten(source: Source) -> None:
    source.story(10, "Enabled", steps=60)
    assert stale_uploads.forget_completed(-3600, 1) == 1
    copy_changes()

    source.rebuild()

    source.check()


def test_duplicates_are_harmless(source: Source) -> None:
    bucket = source.bucket("Enabled")
    reached = statements.rows("SELECT number, xid::text, id FROM journal_state")[0]
    for number in range(4):
        source.do(bucket, "put", f"key-{number}", b"x")
        copy_changes()
    # As if every round had been taken for lost: all is copied again, as files of the same numbers.
    statements.changed(
        "UPDATE journal_state SET number = %(n)s, xid = %(x)s::text::xid8, id = %(i)s",
        n=reached[0],
        x=reached[1],
        i=reached[2],
    )
    copy_changes()

    report = source.rebuild()

    source.check()
    assert report.gaps == []


def test_any_three_drives_of_the_journal_may_be_missing(source: Source) -> None:
    source.story(6, "Enabled", steps=15)
    missing = tuple(source.holders()[:3])

    report = source.rebuild(without=missing)

    source.check()
    assert len(report.drives_missing) == 3
    with psycopg.connect(source.target) as opened:
        gone = opened.execute("SELECT id FROM drive WHERE state = 'gone' ORDER BY id").fetchall()
    assert [row[0] for row in gone] == sorted(missing)


def test_damaged_copies_of_the_journal_are_passed_over(source: Source) -> None:
    source.story(7, "Enabled", steps=15)
    for holder in source.holders()[:3]:
        for name, held in source.storage.everything[holder].shards.items():
            held[len(held) // 2] ^= 1 if isinstance(name, JournalName) else 0

    source.rebuild()

    source.check()


def test_a_missing_file_of_the_journal_is_a_gap_that_must_be_accepted(source: Source) -> None:
    bucket = source.bucket("Enabled")
    for number in range(3):
        source.do(bucket, "put", f"key-{number}", b"x")
        copy_changes()
    source.forget(source.journal()[-2])

    with pytest.raises(ConfigurationError, match="gap"):
        source.rebuild()
    assert rows(source.target, ["version", "tenant"]) == {"version": [], "tenant": []}

    report = source.rebuild(accept_gaps=True)
    assert len(report.gaps) == 1
    keys = [row["key"] for row in rows(source.target, ["version"])["version"]]
    assert keys == ["key-0", "key-2"]


def test_a_database_with_rows_is_refused(source: Source) -> None:
    with psycopg.connect(source.target) as opened:
        opened.execute("INSERT INTO zone (name) VALUES ('somewhere')")

    with pytest.raises(ConfigurationError, match="not empty"):
        source.rebuild()


def test_without_drives_there_is_nothing_to_rebuild_from(source: Source) -> None:
    with pytest.raises(ConfigurationError, match="No drive"):
        rebuild(source.target, [])


def test_drives_without_a_snapshot_are_refused(source: Source) -> None:
    for name in source.journal("snap"):
        source.forget(name)

    with pytest.raises(ConfigurationError, match="snapshot"):
        source.rebuild()


def test_a_drive_that_is_still_served_is_refused(source: Source) -> None:
    paths = spill(source.storage, source.below)
    with lock_of(paths[1]), pytest.raises(ConfigurationError, match="daemon"):
        rebuild(source.target, list(paths.values()))


def test_secrets_open_with_the_master_key_and_the_report_says_when_it_is_missing(
    source: Source, tmp_path: Path
) -> None:
    accounts.create_tenant("alice")
    copy_changes()

    with configuration.override(crypto={"master_key_file": tmp_path / "lost.key"}):
        report = source.rebuild()

    assert "put the master key back" in report.secrets
    source.check()


def test_the_node_key_is_made_for_the_drives_cluster_when_it_is_lost(source: Source) -> None:
    report = source.rebuild()

    key_file = configuration.config().nodes.key_file
    assert str(keyfile.load(key_file).cluster) == report.cluster
    assert any("made anew" in note for note in report.notes)


def test_a_rebuilt_database_goes_on(source: Source) -> None:
    """Sequences are above everything that was; its own journal begins with a snapshot."""
    source.story(8, "Enabled", steps=15)
    before = {
        name: statements.rows(f"SELECT last_value FROM {name}")[0][0]
        for name in ("version_seq", "revision_seq", "change_id_seq", "layout_epoch_seq")
    }
    numbers = [*source.journal(), *source.journal("snap")]

    source.rebuild()

    with psycopg.connect(source.target) as opened:
        for name, value in before.items():
            [now] = opened.execute(f"SELECT nextval('{name}')").fetchone()
            assert now > value, name
        opened.execute("INSERT INTO zone (name) VALUES ('new')")
        journaled = "SELECT body #>> '{row,name}' FROM change WHERE body ->> 'table' = 'zone'"
        assert opened.execute(journaled).fetchall() == [("new",)]
    with session.pointed_at(source.target):
        copy_changes()
        copy_changes(SNAPSHOT)
    assert max(source.journal("snap")).number > max(name.number for name in numbers)


def test_a_second_rebuild_reads_what_the_rebuilt_database_journaled(
    source: Source, django_db_blocker: session.Blocker
) -> None:
    source.story(9, "Enabled", steps=15)
    source.rebuild()
    with session.pointed_at(source.target):
        copy_changes()
        copy_changes(SNAPSHOT)
        accounts.create_tenant("after")
        copy_changes()

    with session.current().fresh_database(django_db_blocker) as third:
        paths = spill(source.storage, source.below / "again")
        rebuild(third, list(paths.values()))
        names = {row["name"] for row in rows(third, ["tenant"])["tenant"]}
        versions = rows(third, ["version"])

    assert "after" in names
    assert versions == rows(source.target, ["version"])


def test_the_command_tells_people_what_came_back_and_what_did_not(source: Source) -> None:
    accounts.create_tenant("alice")
    copy_changes()
    paths = spill(source.storage, source.below / "told")
    given = [word for path in list(paths.values())[:-1] for word in ("--drive", str(path))]
    out = StringIO()

    with session.pointed_at(source.target):
        call_command("rebuild", *given, stdout=out)

    assert "Rows: tenant 1, account_user 1, access_key 1" in out.getvalue()
    assert "Access keys: open with this home's master key." in out.getvalue()
    assert "Drives that were not there:\n  12: " in out.getvalue()


def test_the_command_refuses_in_a_sentence(source: Source, tmp_path: Path) -> None:
    with session.pointed_at(source.target), pytest.raises(CommandError, match="No drive was found"):
        call_command("rebuild", "--drive", str(tmp_path), "--json")


@pytest.mark.parametrize("snapshot", ["newest", "older"])
def test_the_journal_an_earlier_version_wrote_is_rebuilt(
    django_db_blocker: session.Blocker, tmp_path: Path, snapshot: str
) -> None:
    """`tests/golden` keeps one with every kind of change; later versions must read it."""
    drive = tmp_path / "drive"
    (drive / "journal").mkdir(parents=True)
    files = sorted(GOLDEN.glob("*-*"))
    newest = max(file for file in files if file.suffix == ".snap")
    for file in files:
        if snapshot == "newest" or file != newest:
            shutil.copy(file, drive / "journal")
    format_drive_for(parse_header(newest.read_bytes()).cluster, drive)

    with (
        session.current().fresh_database(django_db_blocker) as url,
        configuration.override(nodes={"key_file": tmp_path / "node.key"}),
    ):
        report = rebuild(url, [drive])
        found = rows(url)

    assert found == json.loads((GOLDEN / "rows.json").read_text())
    assert report.unknown_kinds == {}
