"""What the `journal` family asks the database: how far it is, new changes, a snapshot's rows.

Here: one question each, with its SQL. Not here: files and drives, what is done when.

`Place` orders changes by (xid, id). Only changes below the oldest running transaction are taken:
nothing can appear behind them any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import psycopg

from core.config import config
from jobs import statements
from storage_nodes.journal_format import Place

# In the order in which rebuild puts them back, each by its primary key.
TABLES = (
    "tenant",
    "account_user",
    "access_key",
    "audit",
    "zone",
    "node",
    "drive",
    "bucket",
    "bucket_document",
    "segment",
    "version",
    "upload",
    "part",
    "extent",
)
_FETCH = 2000
# Between two fetches lie writes to drives. Holding no transaction id, it holds up nobody.
PATIENCE = "-c idle_in_transaction_session_timeout=600000"

STATE = """
SELECT lineage, origin, origin = journal_origin(), number, xid::text, id, snapshot,
       previous_snapshot, snapshot_bytes, segments, bytes,
       coalesce(snapshot_at < now() - interval '1 day', true),
       coalesce(tended < now() - make_interval(secs => %(tend_s)s), true)
FROM journal_state
"""
BEGIN = """
INSERT INTO journal_state AS known (lineage, origin, number)
VALUES (%(lineage)s, journal_origin(), %(number)s)
ON CONFLICT (single) DO UPDATE SET
    lineage = excluded.lineage, origin = excluded.origin,
    number = greatest(known.number, excluded.number), xid = '0', id = 0, snapshot = NULL,
    previous_snapshot = NULL, segments = 0, bytes = 0, snapshot_bytes = 0, snapshot_at = NULL
WHERE known.lineage = %(known)s
"""
# Whole transactions only: half of one would be a state that never was. `most` says where to stop.
CHANGES = """
WITH stop AS (
    SELECT coalesce(
        (SELECT xid FROM change
          WHERE (xid, id) > (%(xid)s::text::xid8, %(id)s)
            AND xid < pg_snapshot_xmin(pg_current_snapshot())
          ORDER BY xid, id OFFSET %(most)s - 1 LIMIT 1),
        pg_snapshot_xmin(pg_current_snapshot())) AS xid
)
SELECT xid::text::bigint, id, jsonb_build_object(
    'kind', kind, 'at', at, 'bucket', bucket_id, 'key', key, 'seq', seq, 'body', body)::text
FROM change
WHERE (xid, id) > (%(xid)s::text::xid8, %(id)s)
  AND xid < pg_snapshot_xmin(pg_current_snapshot()) AND xid <= (SELECT xid FROM stop)
ORDER BY xid, id
"""
SEQUENCES = """
SELECT jsonb_build_object(
    'visible', pg_current_snapshot()::text, 'at', now(),
    'version_seq', (SELECT last_value FROM version_seq),
    'revision_seq', (SELECT last_value FROM revision_seq),
    'change_id_seq', (SELECT last_value FROM change_id_seq),
    'layout_epoch_seq', (SELECT last_value FROM layout_epoch_seq))::text
"""
ADVANCE = """
UPDATE journal_state SET
    number = number + 1, xid = %(to_xid)s::text::xid8, id = %(to_id)s, copied = now(),
    segments = segments + 1, bytes = bytes + %(bytes)s
WHERE lineage = %(lineage)s AND number = %(number)s
  AND (xid, id) = (%(xid)s::text::xid8, %(id)s)
"""
TAKE_NUMBER = """
UPDATE journal_state SET number = number + 1, segments = 0, bytes = 0
WHERE lineage = %(lineage)s AND number = %(number)s RETURNING xid::text::bigint, id
"""
FINISH = """
UPDATE journal_state SET
    previous_snapshot = snapshot, snapshot = %(number)s, snapshot_bytes = %(bytes)s,
    snapshot_at = now()
WHERE lineage = %(lineage)s AND (snapshot IS NULL OR snapshot < %(number)s)
"""
TENDED = "UPDATE journal_state SET tended = now()"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How far the journal on the drives is."""

    lineage: UUID
    origin: str
    is_ours: bool
    number: int
    reached: Place
    snapshot: int | None
    previous_snapshot: int | None
    snapshot_bytes: int
    segments: int
    bytes: int
    snapshot_is_old: bool
    to_be_tended: bool


def state(tend_s: float) -> State | None:
    """None before the first round of this database."""
    rows = statements.rows(STATE, tend_s=tend_s)
    if not rows:
        return None
    row = rows[0]
    return State(
        lineage=row[0],
        origin=row[1],
        is_ours=row[2],
        number=row[3],
        reached=Place(int(row[4]), row[5]),
        snapshot=row[6],
        previous_snapshot=row[7],
        snapshot_bytes=row[8],
        segments=row[9],
        bytes=row[10],
        snapshot_is_old=row[11],
        to_be_tended=row[12],
    )


def begin_lineage(known: State | None, number: int) -> None:
    """A new history, whose files are numbered above `number`; of rival beginners one wins."""
    statements.changed(
        BEGIN, lineage=uuid4(), number=number, known=known.lineage if known else UUID(int=0)
    )


def changes(after: Place, most: int) -> list[tuple[int, int, str]]:
    """The next changes that nothing can come before any more, about `most`: xid, id, payload."""
    return statements.rows(CHANGES, xid=str(after.xid), id=after.id, most=most)


def advance(known: State, reached: Place, length: int) -> bool:
    """These changes are on drives as file `known.number + 1`; False: somebody else was faster."""
    return bool(
        statements.changed(
            ADVANCE,
            lineage=known.lineage,
            number=known.number,
            xid=str(known.reached.xid),
            id=known.reached.id,
            to_xid=str(reached.xid),
            to_id=reached.id,
            bytes=length,
        )
    )


def take_number(known: State) -> Place | None:
    """Take `known.number + 1` for a snapshot; everything up to the answer will be visible in it."""
    rows = statements.rows(TAKE_NUMBER, lineage=known.lineage, number=known.number)
    return Place(*rows[0]) if rows else None


def finish_snapshot(known: State, number: int, length: int) -> None:
    """A snapshot is complete on drives."""
    statements.changed(FINISH, lineage=known.lineage, number=number, bytes=length)


def tended() -> None:
    statements.changed(TENDED)


def drop_covered(keep_days: int) -> None:
    """Days of changes that are all on drives go."""
    statements.rows("SELECT journal_drop_covered(%(days)s)", days=keep_days)


class Snapshot:
    """All rows of all tables as of one moment, on a connection of its own."""

    def __init__(self) -> None:
        self._connection = psycopg.connect(
            config().database.url, application_name="objstore journal", options=PATIENCE
        )
        self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        self._connection.read_only = True
        row = self._connection.execute(SEQUENCES).fetchone()
        assert row is not None
        # What transactions it sees, when it was taken, and how far the sequences had run.
        self.about: str = row[0]

    def rows(self) -> Iterator[Sequence[tuple[str, str]]]:
        """Table and row as JSON, a few thousand at a time."""
        for table in TABLES:
            with self._connection.cursor(name="snapshot") as cursor:
                cursor.itersize = _FETCH
                cursor.execute(f"SELECT to_jsonb(t)::text FROM {table} t ORDER BY id")
                while rows := cursor.fetchmany(_FETCH):
                    yield [(table, row[0]) for row in rows]

    def close(self) -> None:
        self._connection.close()
