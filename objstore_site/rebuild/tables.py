"""From a history into the tables: staged, judged, placed, in the caller's one transaction.

Here: the SQL's order (`sql/`), configuration rows, sequences. Not here: which history, and drives.

Nothing is taken over blindly: a key's versions are resolved by seq, configuration by revision, rows
of places and segments by the number drawn with them; what was deleted stays deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql

from core.errors import ConfigurationError
from objstore_site.rebuild.history import History
from objstore_site.rebuild.report import Report
from objstore_site.rebuild.succession import Came, Went, superseded

SQL = Path(__file__).parent / "sql"
Connection = psycopg.Connection[tuple[Any, ...]]

# Table, and the rows it refers to: column and table.
ROWS: dict[str, tuple[tuple[str, str], ...]] = {
    "tenant": (),
    "account_user": (("tenant_id", "tenant"),),
    "access_key": (("user_id", "account_user"),),
    "audit": (),
    "zone": (),
    "node": (("zone_id", "zone"),),
    "drive": (("node_id", "node"),),
    "bucket": (("tenant_id", "tenant"),),
    "bucket_document": (("bucket_id", "bucket"),),
    "segment": (),
}
OBJECTS = ("version", "upload", "part", "extent")
EMPTY = (*ROWS, *OBJECTS, "usage", "journal_state")
OF_KEYS = ("put", "marker", "complete", "delete", "amend", "upload", "part", "abort", "forget")
OF_SEGMENTS = ("rewrite",)
OF_ROWS = ("configuration", "place", "segment", "audit")
KINDS = frozenset(OF_KEYS + OF_SEGMENTS + OF_ROWS)
# Numbers the lost seconds may have used are never used again: processes remember revisions.
MARGIN = 1_000_000
EPOCH_MARGIN = 1000
_FLUSH = 256 << 10

_ROWS = """
INSERT INTO {table}
SELECT r.* FROM (
    SELECT DISTINCT ON (body ->> 'id') body, operation, place FROM (
        SELECT payload -> 'body' AS body, 'insert' AS operation,
               coalesce((payload #>> '{{body,revision}}')::bigint, 0) AS place
        FROM {snap}
        UNION ALL
        SELECT payload #> '{{body,row}}', payload #>> '{{body,operation}}',
               coalesce(seq, (payload #>> '{{body,row,revision}}')::bigint)
        FROM event
        WHERE kind IN ('configuration', 'place', 'segment', 'audit')
          AND payload #>> '{{body,table}}' = {name}
    ) candidates
    ORDER BY body ->> 'id', place DESC, (operation = 'delete') DESC
) latest, jsonb_populate_record(NULL::{table}, latest.body) r
WHERE latest.operation <> 'delete'{parents}
ORDER BY place DESC
ON CONFLICT DO NOTHING
"""
_EXPECTED = """
SELECT count(*) FROM (
    SELECT DISTINCT ON (id) id, operation FROM (
        SELECT payload #>> '{{body,id}}' AS id, 'insert' AS operation,
               coalesce((payload #>> '{{body,revision}}')::bigint, 0) AS place FROM {snap}
        UNION ALL
        SELECT payload #>> '{{body,row,id}}', payload #>> '{{body,operation}}',
               coalesce(seq, (payload #>> '{{body,row,revision}}')::bigint)
        FROM event
        WHERE kind IN ('configuration', 'place', 'segment', 'audit')
          AND payload #>> '{{body,table}}' = {name}
    ) candidates
    ORDER BY id, place DESC, (operation = 'delete') DESC
) latest WHERE operation <> 'delete'
"""
_STORY = """
SELECT bucket_id, key, seq, id, is_null, last_modified, superseded_at, known, went
FROM story ORDER BY bucket_id, key, seq
"""
_MOVE = """
UPDATE lying SET segment_id = moved.target, "offset" = moved.to_offset
FROM moved WHERE lying.segment_id = moved.segment_id AND lying."offset" = moved.at
"""


def refuse_unless_empty(connection: Connection) -> None:
    """A rebuild never mixes with what is there."""
    for table in EMPTY:
        if _one(
            connection, sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(table))
        ):
            raise ConfigurationError(
                f"The database is not empty: {table} has rows. A rebuild only fills a database that"
                " was migrated and never used."
            )


def fill(connection: Connection, history: History, report: Report) -> None:
    """All tables but what only drives can tell."""
    _run(connection, "stage.sql")
    _stage(connection, history, report)
    for table in (*ROWS, *OBJECTS):
        _triggers(connection, table, "DISABLE")
    for table in ROWS:
        _place_rows(connection, table, report)
    _run(connection, "judge.sql")
    _tell_stories(connection)
    while connection.execute(_MOVE).rowcount:
        pass
    _run(connection, "place.sql")
    for table, staged in zip(OBJECTS, ("made", "begun", "sent", "lying"), strict=True):
        _count(connection, report, table, _one(connection, _counting(staged)))
    connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    for table in (*ROWS, *OBJECTS):
        _triggers(connection, table, "ENABLE")
    _set_sequences(connection, history)


def _stage(connection: Connection, history: History, report: Report) -> None:
    for table, rows in groupby(history.snapshot_rows(), key=itemgetter(0)):
        if table not in ROWS and table not in OBJECTS:
            report.unknown_kinds[table] = sum(1 for _ in rows)
            continue
        _copy(connection, f"COPY snap_{table} (payload)", (_escaped(row) for _, row in rows))
    _copy(
        connection,
        "COPY event (xid, id, payload)",
        (b"%d\t%d\t%b" % (e.xid, e.id, _escaped(e.payload)) for e in history.changes()),
    )
    for kind, number in connection.execute("SELECT kind, count(*) FROM event GROUP BY kind"):
        report.changes += number
        if kind not in KINDS:
            report.unknown_kinds[kind] = number
    last = connection.execute(
        "SELECT payload ->> 'at' FROM event ORDER BY xid DESC, id DESC LIMIT 1"
    )
    found = last.fetchone()
    report.reached = str(found[0] if found else history.about["at"])


def _copy(connection: Connection, into: str, lines: Iterable[bytes]) -> None:
    statement = f"{into} FROM STDIN"
    held: list[bytes] = []
    size = 0
    with connection.cursor().copy(statement) as copy:
        for line in lines:
            held.append(line)
            size += len(line)
            if size >= _FLUSH:
                copy.write(b"\n".join(held) + b"\n")
                held, size = [], 0
        if held:
            copy.write(b"\n".join(held) + b"\n")


def _escaped(payload: bytes) -> bytes:
    """JSON has no raw tabs or line ends; only the backslash means something to COPY."""
    return payload.replace(b"\\", b"\\\\")


def _place_rows(connection: Connection, table: str, report: Report) -> None:
    parents = sql.SQL("").join(
        sql.SQL(" AND EXISTS (SELECT FROM {} p WHERE p.id = r.{})").format(
            sql.Identifier(parent), sql.Identifier(column)
        )
        for column, parent in ROWS[table]
    )
    parts = {
        "table": sql.Identifier(table),
        "snap": sql.Identifier(f"snap_{table}"),
        "name": sql.Literal(table),
        "parents": parents,
    }
    expected = _one(connection, sql.SQL(_EXPECTED).format(**parts))
    connection.execute(sql.SQL(_ROWS).format(**parts))
    _count(connection, report, table, expected)


def _count(connection: Connection, report: Report, table: str, expected: int) -> None:
    there = _one(connection, _counting(table))
    report.rows[table] = there
    if there < expected:
        report.not_placed[table] = expected - there


def _tell_stories(connection: Connection) -> None:
    """`superseded_at` of keys that lost versions; one story at a time in memory."""
    with connection.cursor(name="story") as cursor:
        cursor.execute(_STORY)
        ends = list(_ends(cursor))
    with connection.cursor().copy("COPY superseded (id, at) FROM STDIN") as copy:
        for row in ends:
            copy.write_row(row)


def _ends(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[UUID, Any]]:
    for _, story in groupby(rows, key=itemgetter(0, 1)):
        yield from superseded(
            Went(row[3]) if row[8] else Came(row[3], row[4], row[5], row[6], row[7])
            for row in story
        ).items()


def _set_sequences(connection: Connection, history: History) -> None:
    """Above everything that was ever seen, with room for what was not."""
    about = history.about
    tops = {
        "version_seq": "SELECT max(seq) FROM event WHERE kind NOT IN ('place', 'segment', 'audit')",
        "revision_seq": "SELECT max(coalesce(seq, (payload #>> '{body,row,revision}')::bigint))"
        " FROM event WHERE kind IN ('configuration', 'place', 'segment', 'audit')",
        "change_id_seq": "SELECT max(id) FROM event",
    }
    for name, question in tops.items():
        seen = max(int(str(about[name])), _one(connection, question) or 0)
        connection.execute("SELECT setval(%s, %s)", (name, seen + MARGIN))
    epochs = _one(connection, "SELECT max(epoch) FROM segment") or 1
    raise_epochs(connection, max(int(str(about["layout_epoch_seq"])), epochs))
    for table in ("audit", "zone", "drive", "bucket_document"):
        connection.execute(
            sql.SQL(
                "SELECT setval(pg_get_serial_sequence({name}, 'id'), max(id)) FROM {table}"
                " HAVING max(id) IS NOT NULL"
            ).format(name=sql.Literal(table), table=sql.Identifier(table))
        )


def raise_epochs(connection: Connection, seen: int) -> None:
    """Layout epochs are never used twice: go on above `seen`."""
    connection.execute(
        "SELECT setval('layout_epoch_seq', greatest(%s, last_value)) FROM layout_epoch_seq",
        (seen + EPOCH_MARGIN,),
    )


def _triggers(connection: Connection, table: str, what: LiteralString) -> None:
    """Rows come with their revisions, and are no news to the journal."""
    connection.execute(
        sql.SQL("ALTER TABLE {} " + what + " TRIGGER USER").format(sql.Identifier(table))
    )


def _run(connection: Connection, name: str) -> None:
    connection.execute((SQL / name).read_text())


def _counting(table: str) -> sql.Composed:
    return sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))


def _one(connection: Connection, question: sql.Composed | LiteralString) -> Any:
    row = connection.execute(question).fetchone()
    return row[0] if row else None
