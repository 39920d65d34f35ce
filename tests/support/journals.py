"""The journal of a test's database: rounds of it by hand, and the files it leaves on drives in
memory.
"""

from __future__ import annotations

import orjson

from jobs import statements
from storage_nodes.journal_format import Decoder, Entry, JournalFooter, JournalHeader, Place
from storage_nodes.shard_name import JournalName
from tests.support.drives import MemoryStorage
from tests.support.local_store import wait_for
from tests.support.work import perform
from workers import journal
from workers.journal import SNAPSHOT

_SETTLED = "SELECT count(*) FROM change WHERE xid >= pg_snapshot_xmin(pg_current_snapshot())"


def settle() -> None:
    """Wait until no transaction runs that began before the latest change: the server is shared
    with other tests, and theirs count.
    """
    wait_for(lambda: statements.rows(_SETTLED) == [(0,)], "older transactions to end")


def copy_changes(subject: str = "", *, settled: bool = True) -> None:
    """One round of the journal, once nothing older runs unless told otherwise."""
    if settled:
        settle()
    perform(journal.journal, subject)


def begin() -> None:
    """The first round owes the first snapshot; take it."""
    copy_changes()
    copy_changes(SNAPSHOT)


def change(kind: str = "test", number: int = 1) -> None:
    statements.changed(
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
    return Place(*statements.rows("SELECT xid::text::bigint, id FROM journal_state")[0])
