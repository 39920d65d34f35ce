"""What `benchmarks.listing` lists: buckets of many keys, filled by SQL.

Here: the shapes of keys, markers and dead rows, and removing them again. Not here: measuring. The
rows are versions as a PUT leaves them, without extents: a listing never looks at those.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

# Common prefixes below `wide/<count>/`.
WIDE = (10, 100, 1000)
SMALL = 10_000
LIVE_AMONG_MARKERS = 20
LIVE_AMONG_DEAD = 2_000

Database = psycopg.Connection[tuple[object, ...]]

# Of ten keys four lie side by side, three in deep folders, and one each below 10, 100 and 1,000
# common prefixes.
_KEY = """
CASE n % 10
    WHEN 0 THEN format('wide/10/p%s/%s.bin', n / 10 % 10, n)
    WHEN 1 THEN format('wide/100/p%s/%s.bin', n / 10 % 100, n)
    WHEN 2 THEN format('wide/1000/p%s/%s.bin', n / 10 % 1000, n)
    WHEN 3 THEN deep WHEN 4 THEN deep WHEN 5 THEN deep
    ELSE 'flat/' || md5(n::text)
END
"""
_DEEP = """
format('deep/2026/%s/%s/%s/part-%s.parquet', lpad((n % 12 + 1)::text, 2, '0'),
       lpad((n / 12 % 28 + 1)::text, 2, '0'), lpad((n / 336 % 24)::text, 2, '0'),
       lpad(n::text, 9, '0'))
"""
_INSERT = """
INSERT INTO version (id, bucket_id, key, rank, is_latest, is_marker, is_null, size, etag, checksums,
    headers, metadata, tags, storage_class, storage_policy, lock_hold, last_modified)
SELECT gen_random_uuid(), %(bucket)s, {key}, -nextval('version_seq'), {latest}, {marker}, false,
       CASE WHEN {marker} THEN 0 ELSE 4096 + n %% 100000 END,
       CASE WHEN {marker} THEN '' ELSE md5(n::text) END,
       CASE WHEN NOT {marker} THEN jsonb_build_object(
           'algorithm', 'CRC64NVME', 'type', 'FULL_OBJECT', 'value', 'AAAAAAAAAAA=') END,
       '{{"content-type": "application/octet-stream"}}', '{{}}', '{{}}', 'STANDARD', 'ec-6-3',
       false,
       date_trunc('second', now() - n * interval '7 seconds')
FROM generate_series(%(first)s::bigint, %(last)s) n
"""
_STEP = 500_000


def keys(database: Database, bucket: object, count: int) -> None:
    """Current objects in all the shapes."""
    _insert(database, bucket, count, key=_KEY.replace("deep", _DEEP.strip()))


def markers(database: Database, bucket: object, count: int) -> None:
    """Deleted keys, in folders of a thousand, and a few live ones among them.

    Each has an older version: 2 * `count` rows.
    """
    key = "format('logs/%s/%s.log', lpad((n / 1000)::text, 6, '0'), n)"
    _insert(database, bucket, count, key=key, latest="false")
    _insert(database, bucket, count, key=key, marker="true")
    live = "format('logs/%s/live', lpad((n * {step})::text, 6, '0'))"
    step = max(1, count // 1000 // LIVE_AMONG_MARKERS)
    _insert(database, bucket, LIVE_AMONG_MARKERS, key=live.format(step=step))


def dead(database: Database, bucket: object, count: int) -> None:
    """Live keys with `count` deleted rows in their midst, whose index entries are still there."""
    _insert(database, bucket, count, key="format('m/%s', n)")
    _insert(database, bucket, LIVE_AMONG_DEAD // 2, key="format('a/%s', n)")
    _insert(database, bucket, LIVE_AMONG_DEAD // 2, key="format('z/%s', n)")
    database.execute(
        "DELETE FROM version WHERE bucket_id = %s AND key COLLATE \"C\" BETWEEN 'm/' AND 'm0'",
        (bucket,),
    )


@contextmanager
def unvacuumed(database: Database) -> Iterator[None]:
    """Keep autovacuum away from the versions' table for a while."""
    database.execute("ALTER TABLE version SET (autovacuum_enabled = false)")
    try:
        yield
    finally:
        database.execute("ALTER TABLE version RESET (autovacuum_enabled)")


def rest(database: Database) -> None:
    """What autovacuum would have done in a while."""
    database.execute("VACUUM (ANALYZE) version")


def clear(database: Database, buckets: list[object]) -> None:
    """Remove all rows of these buckets."""
    for bucket in buckets:
        database.execute("DELETE FROM version WHERE bucket_id = %s", (bucket,))


def _insert(
    database: Database,
    bucket: object,
    count: int,
    *,
    key: str,
    latest: str = "true",
    marker: str = "false",
) -> None:
    statement = _INSERT.format(key=key.replace("%", "%%"), latest=latest, marker=marker)
    for first in range(1, count + 1, _STEP):
        last = min(first + _STEP - 1, count)
        database.execute(statement, {"bucket": bucket, "first": first, "last": last})
