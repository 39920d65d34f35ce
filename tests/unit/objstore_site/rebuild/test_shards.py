"""What a rebuild makes of the shards on drives: the rows say what is there, nothing is removed."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from core.names import new_id
from jobs import statements
from objstore_site.rebuild.report import Report
from storage_nodes.shard_name import ShardName
from tests.support.drives import CLUSTER, SealedPack
from tests.support.journals import copy_changes
from tests.support.packed import packed
from tests.support.rebuilt import Source
from tests.support.work import perform
from workers.encode import encode


@pytest.fixture
def pack(source: Source) -> SealedPack:
    """Three copies on drives 1, 2 and 3, known to the journal."""
    made = SealedPack(source.storage, [5000, 70_000])
    copy_changes()
    return made


def row(source: Source, segment: UUID) -> tuple[str, str, int, list[int], int]:
    """Layout, state, epoch, drives and size as rebuilt."""
    with psycopg.connect(source.target) as opened:
        found = opened.execute(
            "SELECT layout, state, epoch, drives, size FROM segment WHERE id = %s", (segment,)
        ).fetchone()
    assert found is not None
    return found


def missing(source: Source) -> list[tuple[int, int | None]]:
    """Index and drive of every shard noted as missing."""
    with psycopg.connect(source.target) as opened:
        return opened.execute(
            "SELECT index, drive_id FROM segment_shard WHERE state = 'missing' ORDER BY index"
        ).fetchall()


def owed(source: Source, family: str) -> list[str]:
    with psycopg.connect(source.target) as opened:
        found = opened.execute("SELECT subject FROM job WHERE family = %s", (family,)).fetchall()
    return [subject for (subject,) in found]


def drop(source: Source, segment: UUID, *drives: int) -> None:
    """These drives have nothing of the segment."""
    for drive in drives:
        held = source.storage.everything[drive].shards
        for name in [n for n in held if isinstance(n, ShardName) and n.segment == segment]:
            del held[name]


def files(below: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(below)): path.read_bytes()
        for path in sorted(below.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


def test_shards_that_are_where_the_journal_says_are_left_alone(
    source: Source, pack: SealedPack
) -> None:
    report = source.rebuild()

    assert row(source, pack.id)[3] == [1, 2, 3]
    assert (report.shards_verified, report.shards_missing, report.quarantined) == (3, 0, [])
    assert owed(source, "encode") == [str(pack.id)]


def test_a_missing_shard_is_noted_and_its_repair_owed(source: Source, pack: SealedPack) -> None:
    drop(source, pack.id, 2)

    report = source.rebuild()

    assert missing(source) == [(1, 2)]
    assert owed(source, "repair") == [str(pack.id)]
    assert report.segments_lost == []


def test_a_damaged_header_is_a_missing_shard(source: Source, pack: SealedPack) -> None:
    source.storage.file(3, pack.id, 1, 2)[100] ^= 1

    report = source.rebuild()

    assert missing(source) == [(2, 3)]
    assert len(report.shards_damaged) == 1


def test_a_shard_found_on_another_drive_counts_there(source: Source, pack: SealedPack) -> None:
    name = ShardName(pack.id, 1, 0)
    source.storage.everything[9].shards[name] = source.storage.everything[1].shards.pop(name)

    report = source.rebuild()

    assert row(source, pack.id)[3] == [9, 2, 3]
    assert (report.shards_moved, missing(source)) == (1, [])


def test_a_shard_in_the_trash_that_is_needed_comes_back(source: Source, pack: SealedPack) -> None:
    name = ShardName(pack.id, 1, 0)
    store = source.storage.everything[1]
    held = store.shards.pop(name)
    store.trashed[name] = (statements.rows("SELECT now()")[0][0], held)

    report = source.rebuild()

    assert (report.shards_restored, missing(source)) == (1, [])
    assert (source.below / "0" / "drive-1" / name.path).read_bytes() == bytes(held)


def test_the_layout_of_the_lost_seconds_is_taken_when_the_older_one_is_gone(
    source: Source, pack: SealedPack
) -> None:
    perform(encode, pack.id)
    coded = statements.rows("SELECT epoch, drives, size FROM segment WHERE id = %(i)s", i=pack.id)[
        0
    ]
    for drive in (1, 2, 3):
        for index in range(3):
            source.storage.everything[drive].shards.pop(ShardName(pack.id, 1, index), None)

    report = source.rebuild()

    assert row(source, pack.id) == ("coded", "stored", *coded)
    assert len(report.layouts_adopted) == 1
    assert missing(source) == []


def test_an_encoding_that_never_took_over_is_not_taken(source: Source, pack: SealedPack) -> None:
    perform(encode, pack.id)

    source.rebuild()

    assert row(source, pack.id)[:4] == ("replicated", "sealed", 1, [1, 2, 3])


def test_a_segment_without_enough_shards_is_told_and_nothing_is_removed(
    source: Source, pack: SealedPack
) -> None:
    drop(source, pack.id, 1, 2, 3)

    report = source.rebuild()

    assert report.segments_lost == [str(pack.id)]
    assert row(source, pack.id)[1] == "sealed"


def test_shards_of_drives_that_were_not_given_are_not_called_missing(
    source: Source, pack: SealedPack
) -> None:
    report = source.rebuild(without=(1, 2))

    assert missing(source) == []
    assert len(report.drives_missing) == 2


def test_shards_of_a_segment_nobody_knows_are_kept_apart(source: Source) -> None:
    pack = SealedPack(source.storage, [100])

    report = source.rebuild()

    assert len(report.quarantined) == 3
    name = ShardName(pack.id, 1, 0)
    kept = source.below / "0" / "drive-1" / "quarantine" / "unknown-segment" / str(name)
    assert kept.samefile(source.below / "0" / "drive-1" / name.path)
    with psycopg.connect(source.target) as opened:
        assert opened.execute("SELECT count(*) FROM segment").fetchone() == (0,)


def test_an_uncommitted_uploads_shards_are_kept_apart(source: Source, pack: SealedPack) -> None:
    statements.changed(
        "UPDATE segment SET state = 'writing', owner = 'me', lease_until = now() WHERE id = %(i)s",
        i=pack.id,
    )
    copy_changes()

    report = source.rebuild()

    assert [line.rsplit(": ", 1)[1] for line in report.quarantined] == ["uncommitted-upload"] * 3


def _open_pack(source: Source, known: UUID, unknown: UUID) -> UUID:
    """An open pack with two records, one of which an entry names that was deleted since."""
    pack = packed(CLUSTER, [(version, b"8 bytes.") for version in (known, unknown)])
    for index, drive in enumerate(pack.copies.drives):
        shards = source.storage.everything[drive].shards
        shards[pack.name(index)] = bytearray(pack.file(index))
    statements.changed(
        "INSERT INTO segment (id, storage_policy, layout, state, owner, lease_until, drives)"
        " VALUES (%(i)s, 'ec-6-3', 'replicated', 'open', 'me', now(), '{1,2,3}')",
        i=pack.segment,
    )
    return pack.segment


def test_records_without_an_entry_are_told_and_their_pack_is_kept(source: Source) -> None:
    space, unknown = source.bucket("Enabled"), new_id()
    written = source.do(space, "put", "deleted", b"8 bytes.")
    source.do(space, "delete", "deleted", written.version_id)
    _open_pack(source, UUID(written.version_id), unknown)
    copy_changes()

    report = source.rebuild()

    assert len(report.records_without_entry) == 3
    assert all(unknown.hex in line for line in report.records_without_entry)
    assert len(report.quarantined) == 3


def test_an_open_segment_is_left_to_be_sealed_as_that_of_a_dead_owner(source: Source) -> None:
    segment = _open_pack(source, new_id(), new_id())
    copy_changes()

    source.rebuild()

    assert row(source, segment)[1] == "open"
    with psycopg.connect(source.target) as opened:
        expired = opened.execute("SELECT lease_until <= now() FROM segment").fetchall()
    assert expired == [(True,)]


def test_a_rebuild_changes_no_file(source: Source, pack: SealedPack) -> None:
    drop(source, pack.id, 2)
    report: Report = source.rebuild()
    before = files(source.below / "0")
    written = {
        f"drive-{n}/{name.path}": bytes(held)
        for n, store in source.storage.everything.items()
        for name, held in store.shards.items()
    }

    assert {path: held for path, held in before.items() if not path.endswith(".json")} == written
    assert report.quarantined == []
