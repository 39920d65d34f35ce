"""What look-ups, listings and commits cost in PostgreSQL with 10⁵ keys, markers and dead rows
around.

Costs are rows touched, as the server counts them: they depend on plans, not on the machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from core.names import new_id

KEYS = 100_000
_FILL = """
INSERT INTO version (id, bucket_id, key, rank, is_latest, is_marker, is_null, size, etag, headers,
    metadata, tags, storage_class, storage_policy, lock_hold, last_modified)
SELECT gen_random_uuid(), %(bucket)s, format(%(pattern)s, n / 1000, n), -n, true, %(markers)s,
    NOT %(markers)s, 0, 'e', '{}', '{}', '{}', 'STANDARD', 'ec-6-3', false, now()
FROM generate_series(1, %(count)s) n
"""
_TOUCHED = """
SELECT coalesce(sum(seq_tup_read), 0)::int, coalesce(sum(idx_tup_fetch), 0)::int
FROM pg_stat_xact_user_tables WHERE relname = %s
"""


class Bucket:
    """A large bucket and the counters of one session."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self.id = new_id()
        self.name = f"b{self.id.hex}"
        tenant, user, number = new_id(), new_id(), f"{self.id.int % 10**12:012}"
        self.key = f"AK{self.id.hex}"
        run = connection.execute
        run(
            "INSERT INTO tenant (id, account_id, canonical_id, name, display_name, suspended,"
            " revision) VALUES (%s, %s, %s, %s, '', false, 0)",
            (tenant, number, self.id.hex * 2, self.name),
        )
        run(
            "INSERT INTO account_user (id, tenant_id, name, is_root, policy, suspended, revision)"
            " VALUES (%s, %s, 'root', true, '{}', false, 0)",
            (user, tenant),
        )
        run(
            "INSERT INTO access_key (id, user_id, secret, enabled, revision)"
            " VALUES (%s, %s, 'x', true, 0)",
            (self.key, user),
        )
        run(
            "INSERT INTO bucket (id, tenant_id, name, region, versioning, storage_policy, ack,"
            " object_lock, revision) VALUES (%s, %s, %s, 'r', 'Enabled', 'ec-6-3', 'fast', false,"
            " 0)",
            (self.id, tenant, self.name),
        )

    def fill(self, pattern: str, *, markers: bool = False, count: int = KEYS) -> None:
        self.connection.execute(
            _FILL, {"bucket": self.id, "pattern": pattern, "markers": markers, "count": count}
        )

    def cost(self, statement: str, *parameters: object) -> tuple[int, int, list[Any]]:
        """Rows read by scanning and by index from `version`, and the answer."""
        with self.connection.transaction():
            before = self.connection.execute(_TOUCHED, ("version",)).fetchone()
            rows = self.connection.execute(statement, parameters).fetchall()  # type: ignore[arg-type]
            after = self.connection.execute(_TOUCHED, ("version",)).fetchone()
        assert before is not None
        assert after is not None
        return after[0] - before[0], after[1] - before[1], rows


@pytest.fixture(scope="module")
def large(module_database: str) -> Iterator[Bucket]:
    with psycopg.connect(module_database, autocommit=True) as connection:
        # As connections of the data path are set up.
        connection.execute("SET plan_cache_mode = force_generic_plan")
        for way in ("seqscan", "hashjoin", "mergejoin"):
            connection.execute(f"SET enable_{way} = off".encode())
        connection.execute("ALTER TABLE version SET (autovacuum_enabled = false)")
        bucket = Bucket(connection)
        bucket.fill("dir%s/%s")
        bucket.fill("gone%s/%s", markers=True)
        # Dead rows: keys that came and went, their index entries still in place.
        bucket.fill("dead%s/%s", count=20_000)
        connection.execute("DELETE FROM version WHERE key LIKE 'dead%'")
        yield bucket


LIST = "SELECT * FROM list_current(%s, %s, %s, %s, true, %s, %s)"
VERSIONS = "SELECT * FROM list_versions(%s, %s, %s, %s, true, NULL, %s, %s)"


def test_a_page_touches_as_many_rows_as_it_shows(large: Bucket) -> None:
    scanned, touched, rows = large.cost(LIST, large.id, "dir5/", "", "dir5/", "dir50", 101)

    assert len(rows) == 101
    assert scanned == 0
    assert 101 <= touched <= 101 + 5


def test_a_delimiter_page_touches_a_few_rows_per_prefix(large: Bucket) -> None:
    scanned, touched, rows = large.cost(LIST, large.id, "", "/", "", None, 1001)

    # dir0/ to dir100/, and not one of the markers behind them.
    assert len(rows) == 101
    assert scanned == 0
    assert 101 <= touched <= 101 * 11


def test_markers_cost_a_current_listing_nothing(large: Bucket) -> None:
    scanned, touched, rows = large.cost(LIST, large.id, "gone", "", "gone", "gonf", 1001)

    assert rows == []
    assert (scanned, touched) == (0, 0)


def test_a_delimiter_page_of_versions_skips_what_is_rolled_up(large: Bucket) -> None:
    scanned, touched, rows = large.cost(VERSIONS, large.id, "", "/", "", None, 1001)

    assert len(rows) == 202
    assert scanned == 0
    assert 202 <= touched <= 202 * 11


def test_a_page_of_versions_touches_as_many_rows_as_it_shows(large: Bucket) -> None:
    scanned, touched, rows = large.cost(VERSIONS, large.id, "", "", "gone5/", None, 101)

    assert len(rows) == 101
    assert scanned == 0
    assert 101 <= touched <= 101 + 5


def test_a_look_up_touches_one_row_per_question(large: Bucket) -> None:
    keys = [f"dir{n // 1000}/{n}" for n in range(1, 65_000, 1000)]
    count = len(keys)

    scanned, touched, rows = large.cost(
        "SELECT * FROM look_up(%s)",
        psycopg.types.json.Json(
            [{"a": large.key, "b": large.name, "k": key, "w": 1} for key in keys]
        ),
    )

    assert [row[3] for row in rows] == [large.id] * count
    assert all(row[6] is not None for row in rows)
    assert scanned == 0
    assert touched == count


def test_a_commit_touches_only_its_key(large: Bucket) -> None:
    body = {
        "id": str(new_id()),
        "bucket_id": str(large.id),
        "key": "dir7/7000",
        "size": 0,
        "etag": "e",
        "headers": {},
        "metadata": {},
        "tags": {},
        "storage_class": "STANDARD",
        "storage_policy": "ec-6-3",
        "lock_hold": False,
        "extents": [],
    }
    batch = psycopg.types.json.Jsonb(
        {
            "decisions": [{"bucket": str(large.id)}],
            "rows": [{"kind": "put", "decision": 0, "body": body}],
        }
    )

    scanned, touched, rows = large.cost(
        "SELECT * FROM commit_versions(%s, '{}', '{}', '{}', '{}', false)", batch
    )

    assert rows[0][0] == "done"
    assert scanned == 0
    assert 1 <= touched <= 3
