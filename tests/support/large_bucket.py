"""A bucket of any size, filled by the database itself, and what a statement costs in it.

Costs are rows and pages touched, as the server counts them: they depend on plans, not on the
machine.
"""

from __future__ import annotations

import copy
from typing import Any

import psycopg

from core.names import new_id

KEYS = 100_000
_FILL = """
INSERT INTO version (id, bucket_id, key, rank, is_latest, is_marker, is_null, size, etag, headers,
    metadata, tags, storage_class, storage_policy, lock_hold, last_modified)
SELECT gen_random_uuid(), %(bucket)s, format(%(pattern)s, n / 1000, n), -n,
    %(current)s OR n = %(count)s, %(markers)s, NOT (%(markers)s OR NOT %(current)s), 0, 'e', '{}',
    '{}', '{}', 'STANDARD', 'ec-6-3', false, now()
FROM generate_series(1, %(count)s) n
"""
_FILL_UPLOADS = """
INSERT INTO upload (id, bucket_id, key, initiated, headers, metadata, tags, storage_class,
    storage_policy, lock_hold, state, completed, version_id)
SELECT gen_random_uuid(), %(bucket)s, format(%(pattern)s, n / 1000, n / %(of_a_key)s),
    now() + n * interval '1 second', '{}', '{}', '{}', 'STANDARD', 'ec-6-3', false,
    CASE WHEN %(open)s THEN 'open' ELSE 'completed' END,
    CASE WHEN NOT %(open)s THEN '[]'::jsonb END, CASE WHEN NOT %(open)s THEN gen_random_uuid() END
FROM generate_series(1, %(count)s) n
"""
_TOUCHED = """
SELECT coalesce(sum(seq_tup_read), 0)::int, coalesce(sum(idx_tup_fetch), 0)::int
FROM pg_stat_xact_user_tables WHERE relname IN ('version', 'upload')
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

    def by(self, connection: psycopg.Connection[Any]) -> Bucket:
        """The same bucket in another session."""
        other = copy.copy(self)
        other.connection = connection
        return other

    def fill(
        self, pattern: str, *, markers: bool = False, current: bool = True, count: int = KEYS
    ) -> None:
        self.connection.execute(
            _FILL,
            {
                "bucket": self.id,
                "pattern": pattern,
                "markers": markers,
                "current": current,
                "count": count,
            },
        )

    def fill_uploads(
        self, pattern: str, *, is_open: bool = True, of_a_key: int = 1, count: int = KEYS
    ) -> None:
        self.connection.execute(
            _FILL_UPLOADS,
            {
                "bucket": self.id,
                "pattern": pattern,
                "open": is_open,
                "of_a_key": of_a_key,
                "count": count,
            },
        )

    def cost(self, statement: str, *parameters: object) -> tuple[int, int, list[Any]]:
        """Rows read by scanning and by index, and the answer."""
        with self.connection.transaction():
            before = self.connection.execute(_TOUCHED).fetchone()
            rows = self.connection.execute(statement, parameters).fetchall()  # type: ignore[arg-type]
            after = self.connection.execute(_TOUCHED).fetchone()
        assert before is not None
        assert after is not None
        return after[0] - before[0], after[1] - before[1], rows

    def pages(self, statement: str, *parameters: object) -> int:
        """Pages touched by a statement whose plan is made and whose names are known."""
        explained = f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {statement}"
        found = []
        for _ in range(3):
            row = self.connection.execute(explained, parameters).fetchone()  # type: ignore[arg-type]
            assert row is not None
            plan = row[0][0]["Plan"]
            found.append(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
        return min(found)


def connected(url: str) -> psycopg.Connection[Any]:
    """As connections of the data path are set up."""
    connection = psycopg.connect(url, autocommit=True)
    connection.execute("SET plan_cache_mode = force_generic_plan")
    for way in ("seqscan", "hashjoin", "mergejoin"):
        connection.execute(f"SET enable_{way} = off".encode())
    return connection
