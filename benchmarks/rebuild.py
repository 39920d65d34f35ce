"""`python -m benchmarks.rebuild --objects N`: how fast a database is made anew from a journal.

Half of the objects come from the snapshot, half from the changes after it, as rows of a real
database that is filled by SQL and thrown away. Prints one JSON line; exit status 1 below
`--at-least` objects per second. Needs nothing but room in the temporary directory.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import psycopg

from core import config as configuration
from objstore_site.local.postgres import EmbeddedPostgres, create_database
from storage_nodes.journal_format import START, Encoder, JournalHeader
from storage_nodes.node.identity import FORMAT, IDENTITY
from storage_nodes.shard_name import JournalName

ROOT = Path(__file__).resolve().parents[1]
TABLES = ("tenant", "account_user", "bucket", "zone", "node", "drive", "segment")
OF_SEGMENT = 14_000

FILL = """
SELECT setval('version_seq', 1);
WITH t AS (
    INSERT INTO tenant (id, account_id, canonical_id, name, display_name, suspended, revision)
    VALUES (gen_random_uuid(), '123456789012', repeat('a', 64), 'bench', 'bench', false, 0)
    RETURNING id)
INSERT INTO bucket (
    id, tenant_id, name, region, versioning, storage_policy, ack, object_lock, revision)
SELECT gen_random_uuid(), t.id, 'bench', 'us-east-1', '', 'ec-6-3', 'fast', false, 0 FROM t;
INSERT INTO segment (id, storage_policy, layout, state, epoch, size, drives, cell_size)
SELECT gen_random_uuid(), 'ec-6-3', 'coded', 'stored', 1, 64 << 20, '{1,2,3,4,5,6,7,8,9}', 131072
FROM generate_series(0, %(objects)s / %(of_segment)s);
CREATE TABLE numbered AS SELECT id, row_number() OVER () - 1 AS number FROM segment;
INSERT INTO version (
    id, bucket_id, key, rank, is_latest, is_marker, is_null, size, etag, headers, metadata, tags,
    storage_class, storage_policy, lock_hold, last_modified)
SELECT gen_random_uuid(), b.id, 'photos/2026/' || lpad(n::text, 10, '0') || '.jpg',
       -nextval('version_seq'), true, false, true, 4096, md5(n::text),
       '{"content-type": "image/jpeg"}', '{"camera": "x100"}', '{}', 'STANDARD', 'ec-6-3', false,
       date_trunc('second', now())
FROM bucket b, generate_series(1, %(objects)s) n;
INSERT INTO extent (version_id, position, segment_id, "offset", record_size, skip, length)
SELECT v.id, 0, s.id, (-v.rank %% %(of_segment)s) * 4168, 4096, 0, 4096
FROM version v JOIN numbered s ON s.number = -v.rank / %(of_segment)s
"""
OLD = "SELECT to_jsonb(t)::text FROM {table} t"
PUTS = """
SELECT jsonb_build_object('kind', 'put', 'at', now(), 'bucket', v.bucket_id, 'key', v.key,
    'seq', -v.rank, 'body', to_jsonb(v) - 'rank' - 'is_latest' - 'superseded_at'
        || jsonb_build_object('extents', jsonb_build_array(jsonb_build_array(
            e.segment_id, e."offset", e.record_size, e.skip, e.length))))::text
FROM version v JOIN extent e ON e.version_id = v.id WHERE -v.rank > {middle} ORDER BY rank DESC
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=200_000)
    parser.add_argument("--at-least", type=float, default=5000.0)
    given = parser.parse_args()
    below = Path(tempfile.mkdtemp(prefix="objstore-rebuild-"))
    below.chmod(0o755)
    postgres = EmbeddedPostgres(below / "pg", below / "sock", log=below / "postgres.log")
    try:
        postgres.start()
        rate = _measure(postgres, below, given.objects)
    finally:
        postgres.stop()
        shutil.rmtree(below, ignore_errors=True)
    print(json.dumps({"objects": given.objects, "objects_per_s": rate}))
    return 0 if rate >= given.at_least else 1


def _measure(postgres: EmbeddedPostgres, below: Path, objects: int) -> float:
    for name in ("source", "target"):
        create_database(postgres.url("postgres"), name)
    _manage(below, postgres.url("source"), "migrate", "--verbosity", "0")
    drive = below / "drive"
    (drive / "journal").mkdir(parents=True)
    cluster = uuid4()
    identity = {"format": FORMAT, "version": 1, "cluster": str(cluster), "drive": str(uuid4())}
    (drive / IDENTITY).write_text(json.dumps(identity))
    _write_journal(postgres.url("source"), drive, cluster, objects)
    told = _manage(below, postgres.url("target"), "rebuild", "--drive", str(drive), "--json")
    report = json.loads(told)
    assert report["rows"]["version"] == objects, report
    assert report["rows"]["extent"] == objects, report
    return float(report["objects_per_s"])


def _manage(below: Path, url: str, *arguments: str) -> str:
    environment = configuration.environment(
        {"DATABASE_URL": url, "REDIS_URL": "redis://unused", "OBJSTORE_HOME": str(below / "home")}
    )
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def _write_journal(url: str, drive: Path, cluster: UUID, objects: int) -> None:
    lineage = uuid4()
    with psycopg.connect(url) as source:
        parameters = {"objects": objects, "of_segment": OF_SEGMENT}
        for statement in FILL.split(";\n"):
            source.execute(statement, parameters if "%(" in statement else None)
        header = JournalHeader(kind="snap", cluster=cluster, lineage=lineage, number=1, after=START)
        _write(drive, header, ((0, n, p) for n, p in enumerate(_snapshot(source, objects // 2))))
        puts = _rows(source, PUTS.format(middle=objects // 2 + 1))
        header = JournalHeader(kind="jrn", cluster=cluster, lineage=lineage, number=2, after=START)
        _write(drive, header, ((1000 + n, n, p) for n, p in enumerate(puts, start=1)))


def _snapshot(source: psycopg.Connection[tuple[str]], middle: int) -> Iterator[bytes]:
    about = {"visible": "1000:1000:", "at": "2026-01-01T00:00:00+00:00"}
    sequences = dict.fromkeys(
        ("version_seq", "revision_seq", "change_id_seq", "layout_epoch_seq"), 1
    )
    yield json.dumps({"kind": "snapshot", "body": {**about, **sequences}}).encode()
    extents = "extent t JOIN version v ON v.id = t.version_id WHERE -v.rank <="
    for table, question in (
        *((table, OLD.format(table=table)) for table in TABLES),
        ("version", OLD.format(table="version") + f" WHERE -rank <= {middle + 1}"),
        ("extent", f"SELECT to_jsonb(t)::text FROM {extents} {middle + 1}"),
    ):
        for row in _rows(source, question):
            yield b'{"kind":"%b","body":%b}' % (table.encode(), row)


def _rows(source: psycopg.Connection[tuple[str]], question: str) -> Iterator[bytes]:
    with source.cursor(name="rows") as cursor:
        cursor.itersize = 5000
        cursor.execute(question)
        for (row,) in cursor:
            yield row.encode()


def _write(drive: Path, header: JournalHeader, entries: Iterator[tuple[int, int, bytes]]) -> None:
    encoder = Encoder(header)
    name = JournalName(header.number, 1, header.kind)
    with (drive / name.path).open("wb") as file:
        file.write(encoder.head())
        for entry in entries:
            file.write(encoder.entry(*entry))
        file.write(encoder.foot())
        os.fsync(file.fileno())


if __name__ == "__main__":
    sys.exit(main())
