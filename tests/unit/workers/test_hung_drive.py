"""Background work while the device of a drive hangs: it goes on without it, and says so."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from core import bridge
from core.errors import NodeUnreachable
from jobs import statements
from storage_nodes import layouts
from storage_nodes.journal_files import drives_for
from storage_nodes.placement import place, replace
from storage_nodes.policy import policy
from storage_nodes.shard_name import JournalName, ShardName, first_copy
from storage_nodes.stores.local import LocalShardStore
from tests.support.coded import payload_of
from tests.support.drives import MemoryStorage, SealedPack, big
from tests.support.hanging import HangingDisk, hold_reads
from tests.support.journals import begin, change, copy_changes, files
from tests.support.local_store import wait_for
from tests.support.nodes import RunningNode, running_node
from tests.support.shard_stores import publish
from tests.support.work import perform
from workers import encode, repair
from workers.journal import SNAPSHOT

SOON_S = 0.3
# Large enough that neither a copy nor a shard of it is read without a thread.
LENGTHS = [700_000] * 5
# Without an end to patience these tests have none.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(60)]


@dataclass(frozen=True)
class Real:
    """A drive on a disk, which hangs while the test says so."""

    store: LocalShardStore
    disk: HangingDisk

    def journal(self) -> list[JournalName]:
        async def names() -> list[JournalName]:
            return [name async for name in self.store.journal_names()]

        return bridge.run(names())


@pytest.fixture(scope="module")
def node() -> Iterator[RunningNode]:
    with running_node(drives=12) as running:
        yield running


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    """Of the node's drives: each test has its own."""
    return iter(range(12))


@pytest.fixture
def real(node: RunningNode, numbers: Iterator[int]) -> Iterator[Real]:
    disk = HangingDisk()
    store = node.local(next(numbers), disk, patience_s=SOON_S)
    yield Real(store, disk)
    bridge.run(store.close())


def begin_untended() -> None:
    """A history, whose files get no copies put back in this test."""
    begin()
    statements.changed("UPDATE journal_state SET tended = now()")


def journal_drive(drives: MemoryStorage) -> int:
    """One of those the journal is written to."""
    return drives_for(drives.writable(), drives.cluster)[0]


def move(drives: MemoryStorage, real: Real, name: ShardName, row: Sequence[int]) -> None:
    """The shard is on the real drive from now on, which has the place of its present one."""
    drive = row[name.index]
    bridge.run(publish(real.store, name, bytes(drives.everything[drive].shards[name])))
    drives.use(drive, real.store)


@contextmanager
def reads_hang(store: LocalShardStore) -> Iterator[None]:
    gate = threading.Event()
    bridge.run(hold_reads(store, gate))
    try:
        yield
    finally:
        gate.set()
        wait_for(lambda: not store.is_silent, "the drive to answer")


def left_out(caplog: pytest.LogCaptureFixture) -> list[object]:
    return [record.__dict__["drive"] for record in caplog.records if "drive" in record.__dict__]


@pytest.mark.parametrize("subject", ["", SNAPSHOT])
def test_the_journal_is_published_on_the_others_and_says_without_which(
    drives: MemoryStorage, real: Real, caplog: pytest.LogCaptureFixture, subject: str
) -> None:
    if subject == SNAPSHOT:
        copy_changes()  # before the first, which it owes
    else:
        begin_untended()
        change()
    hung = journal_drive(drives)
    drives.use(hung, real.store)

    with real.disk.hung(), caplog.at_level(logging.WARNING):
        copy_changes(subject)

    [copies] = files(drives, "snap" if subject else "jrn").values()
    assert len(copies) == 3
    assert left_out(caplog) == [hung]


def test_the_next_file_goes_to_another_drive_instead(
    drives: MemoryStorage, real: Real, caplog: pytest.LogCaptureFixture
) -> None:
    begin_untended()
    drives.use(journal_drive(drives), real.store)
    with real.disk.hung():
        change()
        copy_changes()
        caplog.clear()
        change()
        copy_changes()

    assert [len(copies) for copies in files(drives).values()] == [3, 4]
    assert left_out(caplog) == []
    assert real.disk.met == 1


def test_a_file_written_in_vain_never_appears_and_the_drive_is_used_again(
    drives: MemoryStorage, real: Real
) -> None:
    begin_untended()
    drives.use(journal_drive(drives), real.store)
    with real.disk.hung():
        change()
        copy_changes()
    wait_for(lambda: not real.store.is_silent, "the drive to answer")
    assert real.journal() == []

    change()
    copy_changes()

    assert real.journal() == [max(files(drives))]


def test_with_no_other_drive_a_silent_one_counts_among_those_needed(
    drives: MemoryStorage, real: Real
) -> None:
    begin_untended()
    holders = [n for n, store in drives.everything.items() if store.shards]
    drives.hide(*(set(drives.everything) - set(holders)))
    drives.use(holders[0], real.store)
    with real.disk.hung():
        for _ in range(2):
            change()
            copy_changes()

    assert [len(copies) for copies in files(drives).values()] == [3, 3]


def test_copies_it_went_without_are_made_up_for_elsewhere(
    drives: MemoryStorage, real: Real
) -> None:
    begin()
    drives.use(journal_drive(drives), real.store)
    change()
    with real.disk.hung():
        copy_changes()
        statements.changed("UPDATE journal_state SET tended = NULL")
        copy_changes()

    assert [len(copies) for copies in files(drives).values()] == [4]


def test_encoding_fails_soon_and_goes_elsewhere_next_time(
    drives: MemoryStorage, real: Real
) -> None:
    pack = big(drives)
    hung = place(drives.writable(), policy("ec-6-3"), pack.id)[4]
    drives.use(hung, real.store)

    with real.disk.hung():
        with pytest.raises(NodeUnreachable, match=str(real.store.drive)):
            perform(encode.encode, pack.id)
        perform(encode.encode, pack.id)

    row = layouts.segment(pack.id)
    assert row is not None
    assert row.layout == "coded"
    assert hung not in row.drives
    assert {v: payload_of(drives, v) for v in pack.payloads} == pack.payloads
    assert real.disk.met == 1


def test_encoding_reads_another_copy(drives: MemoryStorage, real: Real) -> None:
    pack = SealedPack(drives, LENGTHS)
    move(drives, real, ShardName(pack.id, 1, first_copy(pack.id, 3)), pack.drives)
    drives.only_reads(*pack.drives)

    with reads_hang(real.store):
        perform(encode.encode, pack.id)
        assert real.store.reading.is_overdue

    assert {v: payload_of(drives, v) for v in pack.payloads} == pack.payloads


def test_repair_fails_soon_and_goes_elsewhere_next_time(drives: MemoryStorage, real: Real) -> None:
    pack = big(drives)
    perform(encode.encode, pack.id)
    before = layouts.segment(pack.id)
    assert before is not None
    drives.lose(before.drives[3])
    [spare, *_] = replace(
        drives.writable(), policy("ec-6-3"), pack.id, keep=set(before.drives), count=1
    )
    drives.use(spare, real.store)

    with real.disk.hung():
        with pytest.raises(NodeUnreachable, match=str(real.store.drive)):
            perform(repair.repair, pack.id)
        perform(repair.repair, pack.id)

    after = layouts.segment(pack.id)
    assert after is not None
    assert not set(after.drives) & {spare, before.drives[3]}
    assert {v: payload_of(drives, v) for v in pack.payloads} == pack.payloads


def test_repair_reads_other_shards(drives: MemoryStorage, real: Real) -> None:
    pack = SealedPack(drives, LENGTHS)
    perform(encode.encode, pack.id)
    row = layouts.segment(pack.id)
    assert row is not None
    move(drives, real, ShardName(pack.id, row.epoch, 0), row.drives)
    drives.lose(row.drives[3])

    with reads_hang(real.store):
        perform(repair.repair, pack.id)
        assert real.store.reading.is_overdue

    after = layouts.segment(pack.id)
    assert after is not None
    assert after.drives[3] != row.drives[3]
    assert {v: payload_of(drives, v) for v in pack.payloads} == pack.payloads
