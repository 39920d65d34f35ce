"""`python -m benchmarks.sql --objects N`: PostgreSQL's CPU per row of a commit and of a look-up.

A database of its own with the real migrations and N versions, one connection set up as the data
path's are, batches of several sizes by turns. CPU is the backend's own time as the kernel counts
it, so other load matters less than it does to a clock; the lower quartile of all turns is shown.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from benchmarks.rebuild import FILL, OF_SEGMENT, _manage
from objstore_site.local.postgres import EmbeddedPostgres, create_database

SIZES = (1, 4, 8, 16, 32)
ROWS = 96
OPTIONS = (
    "-c plan_cache_mode=force_generic_plan -c jit=off"
    " -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
)
CALLER = """
WITH u AS (
    INSERT INTO account_user (id, tenant_id, name, is_root, policy, suspended, revision)
    SELECT gen_random_uuid(), id, 'root', true, '{}', false, 0 FROM tenant RETURNING id)
INSERT INTO access_key (id, user_id, secret, enabled, revision)
SELECT 'AKBENCHMARK', id, 'x', true, 0 FROM u
"""
OPEN = """
INSERT INTO segment (id, storage_policy, layout, state, epoch, size, drives, owner, lease_until)
VALUES (gen_random_uuid(), 'ec-6-3', 'replicated', 'open', 1, 0, '{1,2,3}', 'bench',
        now() + interval '1 day') RETURNING id
"""
DECISION = """
SELECT jsonb_build_object(
    'bucket', b.id, 'bucket_revision', b.revision, 'owner_revision', t.revision, 'key', k.id,
    'key_revision', k.revision, 'user_revision', u.revision, 'tenant_revision', t.revision)
FROM bucket b JOIN tenant t ON t.id = b.tenant_id,
     access_key k JOIN account_user u ON u.id = k.user_id
"""
COMMIT = "SELECT * FROM commit_versions(%s::jsonb, %s, '{1}', '{open}', '{}', '{}', false)"
LOOK_UPS = {"revisions": "look_revisions", "current": "look_current", "any": "look_up"}


class Bench:
    """One connection to a filled database."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(
            url, autocommit=True, prepare_threshold=0, options=OPTIONS
        )
        run = self.connection.execute
        run(CALLER)
        self.segment = self._one(OPEN)
        self.decision = self._one(DECISION)
        run("SELECT partition_ahead('change', 1), partition_ahead('usage_delta', 1)")
        run("VACUUM ANALYZE")
        self._number = 0
        self._written: list[str] = []

    def commit(self, size: int) -> Callable[[], None]:
        """A call that puts `size` new keys."""
        keys = [self._new_key() for _ in range(size)]
        batch = {
            "decisions": [self.decision],
            "rows": [{"kind": "put", "decision": 0}] * size,
            "bodies": [self._body(key) for key in keys],
        }
        text = json.dumps(batch)

        def call() -> None:
            rows = self.connection.execute(COMMIT, (text, [self.segment])).fetchall()
            assert {row[0] for row in rows} == {"done"}
            self._written += keys

        return call

    def look_up(self, function: str, size: int) -> Callable[[], None]:
        """A call that asks about `size` keys that were put."""
        want = int(function != "look_revisions")
        asked = json.dumps(
            [
                {"a": "AKBENCHMARK", "b": "bench", "k": key, "w": want}
                for key in self._written[-size:]
            ]
        )
        statement = f"SELECT * FROM {function}(%s)".encode()

        def call() -> None:
            assert len(self.connection.execute(statement, (asked,)).fetchall()) == size

        return call

    def cpu_us(self, calls: list[Callable[[], None]]) -> float:
        """The backend's CPU time in these calls."""
        counter = Path(f"/proc/{self.connection.info.backend_pid}/schedstat")
        before = int(counter.read_text().split()[0])
        for call in calls:
            call()
        return (int(counter.read_text().split()[0]) - before) / 1000

    def _one(self, statement: str) -> Any:
        row = self.connection.execute(statement.encode()).fetchone()
        assert row is not None
        return row[0]

    def _new_key(self) -> str:
        self._number += 1
        return f"new/{self._number * 7919 % 1000:03}/{self._number:08}"

    def _body(self, key: str) -> dict[str, object]:
        return {
            "id": str(uuid4()),
            "bucket_id": self.decision["bucket"],
            "key": key,
            "headers": {"content-type": "application/octet-stream"},
            "metadata": {},
            "tags": {},
            "storage_class": "STANDARD",
            "storage_policy": "ec-6-3",
            "acl": None,
            "lock_hold": False,
            "size": 4096,
            "etag": uuid4().hex,
            "checksums": None,
            "extents": [[str(self.segment), self._number * 8192, 4096, 0, 4096]],
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=200_000)
    parser.add_argument("--turns", type=int, default=20)
    given = parser.parse_args()
    below = Path(tempfile.mkdtemp(prefix="objstore-sql-"))
    below.chmod(0o755)
    postgres = EmbeddedPostgres(below / "pg", below / "sock", log=below / "postgres.log")
    try:
        postgres.start()
        create_database(postgres.url("postgres"), "bench")
        url = postgres.url("bench")
        _manage(below, url, "migrate", "--verbosity", "0")
        with psycopg.connect(url) as filler:
            parameters = {"objects": given.objects, "of_segment": OF_SEGMENT}
            for statement in FILL.split(";\n"):
                filler.execute(statement.encode(), parameters if "%(" in statement else None)
        _report(Bench(url), given.turns)
    finally:
        postgres.stop()
        shutil.rmtree(below, ignore_errors=True)
    return 0


def _report(bench: Bench, turns: int) -> None:
    seen: dict[tuple[str, int], list[float]] = {}
    for turn in range(turns + 1):
        for size in SIZES:
            count = max(8, ROWS // size)
            todo = {"commit": [bench.commit(size) for _ in range(count)]}
            used = {"commit": bench.cpu_us(todo["commit"])}
            for name, function in LOOK_UPS.items():
                used[name] = bench.cpu_us([bench.look_up(function, size) for _ in range(count)])
            if turn:  # the first one makes the plans
                for name, spent in used.items():
                    seen.setdefault((name, size), []).append(spent / count / size)
    print("| CPU us per row, batches of | " + " | ".join(map(str, SIZES)) + " |")
    print("| --- |" + " --- |" * len(SIZES))
    for name in ("commit", *LOOK_UPS):
        cells = (f"{statistics.quantiles(seen[name, size])[0]:.0f}" for size in SIZES)
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    sys.exit(main())
