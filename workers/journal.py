"""Copies every metadata change to files on several drives, within seconds, and takes snapshots.

A round reads the changes behind the last file, writes them as the next, and then says so by
compare-and-set. Stopped in between, the next round reads the same changes again: its file bears the
same number and another random one, and duplicates are harmless. Two rounds at once differ the same
way; one of them counts.

A round ends with the first file that is not full: a file costs four drives two fsyncs each, and
what is committed while it is written goes as well into the next round's, two seconds later.

A snapshot (subject `snapshot`) is owed when the files since the last one have grown. A history
begins with one: until it is complete there is nothing its changes could follow.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from django.db import transaction

from core import clock
from core.failpoints import declare
from jobs import statements
from jobs.catalogue import JOURNAL
from jobs.enqueue import enqueue
from jobs.step import NotYet, Step
from storage_nodes import journal_files
from storage_nodes.journal_files import COPIES, Writing, new_attempt
from storage_nodes.journal_format import Encoder, JournalHeader, Place
from storage_nodes.shard_name import JournalName
from workers import journal_rows as rows
from workers import stopping
from workers.context import Context
from workers.registry import handles
from workers.storage import Storage, run, storage

SNAPSHOT = "snapshot"
# Changes of one file; some 20 MB. What is more goes into the next.
MOST_CHANGES = 20_000
# A snapshot pays when replaying what came since costs as much as loading it.
LEAST_BYTES = 16 << 20
MOST_SEGMENTS = 10_000
TEND_EVERY_S = 60.0
# How long new changes wait at most while a round tends, but for the file being mended.
COPY_EVERY_S = 2.0
# Old enough that no reader of changes (an operator, an event cursor) still looks there.
KEEP_DAYS = 3
AGAIN_AFTER_S = 2.0
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '200ms'"
_PIECE = 1 << 20

READ = declare("journal.read", point="C9", doc="changes are read, no file of them is written")
PUBLISHED = declare(
    "journal.published", point="C9", doc="changes are on drives, the journal's row is behind them"
)
COMPLETE = declare(
    "journal.snapshot", point="C9", doc="a snapshot is on drives, the journal's row knows of none"
)


@handles(JOURNAL)
def journal(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
    """Copy what is new; or take a snapshot."""
    here = storage()
    known = _lineage(here)
    if subject == SNAPSHOT:
        if known.snapshot is None or _snapshot_is_due(known):
            yield from _snapshot(known, here, context)
        return
    if known.snapshot is None:
        enqueue(JOURNAL, SNAPSHOT)
        return
    done = yield from _copy_all(here, cursor or 0)
    known = _lineage(here)
    if _snapshot_is_due(known):
        enqueue(JOURNAL, SNAPSHOT)
    if known.to_be_tended:
        yield from _tend(known, here, done)


def _lineage(here: Storage) -> rows.State:
    """How far the journal is; a new lineage where the database is not the one that wrote the last.

    Numbers go on above whatever lies on the drives.
    """
    known = rows.state(TEND_EVERY_S)
    if known is None or not known.is_ours:
        found = run(journal_files.listed(here.stores))
        rows.begin_lineage(known, max((name.number for name in found), default=0))
        known = rows.state(TEND_EVERY_S)
        assert known is not None
    return known


def _copy_all(here: Storage, done: int) -> Generator[Step, None, int]:
    """What is new into files, up to the first that is not full; how many changes in all."""
    while copied := _copy(_lineage(here), here):
        done += copied
        yield Step(done=done, cursor=done)
        if copied < MOST_CHANGES:
            break
    return done


def _copy(known: rows.State, here: Storage) -> int:
    """The next changes into one file; how many."""
    found = rows.changes(known.reached, MOST_CHANGES)
    if not found:
        return 0
    READ.hit()
    header = JournalHeader(
        kind="jrn",
        cluster=here.cluster,
        lineage=known.lineage,
        number=known.number + 1,
        after=known.reached,
    )
    encoder = Encoder(header)
    pieces = [encoder.head()]
    pieces += [encoder.entry(xid, row, payload.encode()) for xid, row, payload in found]
    pieces.append(encoder.foot())
    name = JournalName(header.number, new_attempt(), "jrn")
    run(journal_files.write(here.stores, _drives(here), name, [b"".join(pieces)]))
    PUBLISHED.hit()
    # Somebody else may have been faster: what we wrote are duplicates then.
    rows.advance(known, Place(found[-1][0], found[-1][1]), encoder.length)
    return len(found)


def _snapshot(known: rows.State, here: Storage, context: Context) -> Iterator[Step]:
    """All rows as of now, as one file; changes go on being copied meanwhile."""
    after = rows.take_number(known)
    if after is None:
        raise NotYet("another round was faster", after_s=AGAIN_AFTER_S)
    number = known.number + 1
    header = JournalHeader(
        kind="snap", cluster=here.cluster, lineage=known.lineage, number=number, after=after
    )
    encoder, done = Encoder(header), 0
    source = rows.Snapshot()
    writing: Writing | None = None
    try:
        name = JournalName(number, new_attempt(), "snap")
        writing = run(Writing.begin(here.stores, _drives(here), name))
        first = f'{{"kind":"snapshot","body":{source.about}}}'.encode()
        pieces, held = [encoder.head(), encoder.entry(0, 0, first)], 0
        for batch in source.rows():
            for table, row in batch:
                done += 1
                payload = f'{{"kind":"{table}","body":{row}}}'.encode()
                pieces.append(encoder.entry(0, done, payload))
                held += len(payload)
            if held >= _PIECE:
                run(writing.append([b"".join(pieces)]))
                pieces, held = [], 0
                # One unit, however long it takes: only the session that began it sees its moment.
                context.check()
                if stopping.is_requested():
                    raise NotYet("the worker is stopping", after_s=AGAIN_AFTER_S)
        run(writing.append([b"".join([*pieces, encoder.foot()])]))
        context.check()
        run(writing.publish())
        writing = None
    finally:
        source.close()
        if writing is not None:
            run(writing.abandon())
    COMPLETE.hit()
    rows.finish_snapshot(known, number, encoder.length)
    yield Step(done=done)


def _snapshot_is_due(known: rows.State) -> bool:
    if not known.segments:
        return False
    large = known.bytes >= max(LEAST_BYTES, known.snapshot_bytes)
    return large or known.segments >= MOST_SEGMENTS or known.snapshot_is_old


def _drives(here: Storage) -> list[int]:
    drives = journal_files.drives_for(here.writable(), here.cluster, silent=here.silent())
    if not drives:
        raise NotYet("no drive takes writes", after_s=AGAIN_AFTER_S)
    return drives


def _tend(known: rows.State, here: Storage, done: int) -> Iterator[Step]:
    """Trash what the second newest snapshot made needless, copy what has lost copies, drop days."""
    found = run(journal_files.listed(here.stores))
    newest = max((name.number for name in found), default=0)
    if newest > known.number + 1 and newest > _lineage(here).number + 1:
        # Files this database never wrote: it is an earlier one, put back. Its changes are others.
        rows.begin_lineage(known, newest)
        return
    wanted = _drives(here)
    copied_at = clock.monotonic()
    for name, held in sorted(found.items()):
        if known.previous_snapshot is not None and name.number < known.previous_snapshot:
            run(journal_files.trash(here.stores, name, held))
        elif len(held) < min(COPIES.width, len(wanted)):
            run(journal_files.mend(here.stores, name, held, wanted))
        else:
            continue
        yield Step(done=done, cursor=done)
        if clock.monotonic() - copied_at >= COPY_EVERY_S:
            done = yield from _copy_all(here, done)
            copied_at = clock.monotonic()
    with transaction.atomic():
        statements.changed(LOCK_TIMEOUT)
        rows.drop_covered(KEEP_DAYS)
    rows.tended()
