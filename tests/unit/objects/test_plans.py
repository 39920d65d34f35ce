"""What look-ups, listings and commits cost in PostgreSQL with 10⁵ keys, markers and dead rows
around. Costs are those `tests.support.large_bucket` counts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from core.names import new_id
from tests.support.large_bucket import Bucket, connected

CURRENT = "SELECT * FROM list_current(%s, %s, %s, %s, %s, %s)"
VERSIONS = "SELECT * FROM list_versions(%s, %s, %s, %s, %s, %s, %s)"
UPLOADS = "SELECT * FROM list_uploads(%s, %s, %s, %s, %s, %s, %s)"
# Pages of the index down to a key, and the function's own look-ups.
ONCE = 40
# Down to the next key behind a common prefix, and its row; once more for a key beside it.
PROBE = 2 * 5
# Nobody waits that long; a machine with other work may.
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def large(module_database: str) -> Iterator[Bucket]:
    with connected(module_database) as connection:
        connection.execute("ALTER TABLE version SET (autovacuum_enabled = false)")
        connection.execute("ALTER TABLE upload SET (autovacuum_enabled = false)")
        bucket = Bucket(connection)
        # Plans are made on the first call, here with empty tables.
        for case in CASES:
            connection.execute(case.statement, (bucket.id, *case.parameters))  # type: ignore[arg-type]
        bucket.fill("dir%s/%s")
        bucket.fill("gone%s/%s", markers=True)
        bucket.fill("gone%s/live", count=1)
        bucket.fill("mixed/%2$s", count=500)
        bucket.fill("mixed/%2$s/below", count=500)
        bucket.fill("often", current=False, count=10_000)
        # Dead rows: keys that came and went, their index entries still in place.
        bucket.fill("dead%s/%s", count=20_000)
        connection.execute("DELETE FROM version WHERE key LIKE 'dead%'")
        bucket.fill_uploads("dir%s/%s")
        bucket.fill_uploads("often", of_a_key=10_000, count=10_000)
        bucket.fill_uploads("done%s/%s", is_open=False, count=10_000)
        yield bucket


@dataclass(frozen=True)
class Case:
    """A listing, how many rows it returns, how many of them are common prefixes."""

    name: str
    statement: str
    parameters: tuple[object, ...]
    rows: int
    prefixes: int = 0

    @property
    def most_rows(self) -> int:
        """Rows it may touch: those it shows, and a few where keys and common prefixes meet."""
        return self.rows + 3 * self.prefixes + 5

    @property
    def most_pages(self) -> int:
        """Pages it may touch."""
        return self.rows + PROBE * self.prefixes + ONCE


CASES = [
    Case("the first page", CURRENT, ("", "", "dir0", None, 1001), 1001),
    Case("a page in the middle", CURRENT, ("", "", "dir50/", None, 1001), 1001),
    Case("the end", CURRENT, ("", "", "often", None, 1001), 1),
    Case("a page of a prefix", CURRENT, ("dir5/", "", "dir5/", "dir50", 101), 101),
    Case("folders", CURRENT, ("", "/", "", None, 1001), 104, 103),
    Case("folders, one page of them", CURRENT, ("", "/", "dir2", None, 21), 21, 21),
    Case("keys in a folder", CURRENT, ("dir5/", "/", "dir5/", "dir50", 1001), 1000),
    Case(
        "keys and folders by turns", CURRENT, ("mixed/", "/", "mixed/", "mixed0", 1001), 1000, 500
    ),
    Case("live keys among markers", CURRENT, ("gone", "", "gone", "gonf", 1001), 1),
    Case("folders among markers", CURRENT, ("gone", "/", "gone", "gonf", 1001), 1, 1),
    Case("nothing but markers", CURRENT, ("gone5", "/", "gone5", "gone6", 1001), 0),
    Case("a page of versions", VERSIONS, ("", "", "gone5/", None, None, 101), 101),
    Case("folders of versions", VERSIONS, ("", "/", "", None, None, 1001), 1001, 204),
    Case("folders of markers", VERSIONS, ("gone", "/", "gone", None, "gonf", 1001), 101, 101),
    Case("versions of one key", VERSIONS, ("often", "/", "often", None, "oftf", 1001), 1001),
    Case("a page of uploads", UPLOADS, ("", "", "dir5/", None, None, 101), 101),
    Case("folders of uploads", UPLOADS, ("", "/", "", None, None, 101), 101, 101),
    Case("folders and uploads", UPLOADS, ("", "/", "dir9", None, None, 1001), 1001, 11),
    Case("uploads that are complete", UPLOADS, ("done", "/", "done", None, "donf", 1001), 0),
]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def check(bucket: Bucket, case: Case) -> None:
    """Let a listing return what it should and touch no more than it may."""
    scanned, touched, rows = bucket.cost(case.statement, bucket.id, *case.parameters)

    assert len(rows) == case.rows
    assert scanned == 0
    assert touched <= case.most_rows
    assert bucket.pages(case.statement, bucket.id, *case.parameters) <= case.most_pages


@each_case
def test_a_listing_touches_what_it_returns(large: Bucket, case: Case) -> None:
    check(large, case)


def test_nothing_touches_more_once_statistics_are_there(
    large: Bucket, module_database: str
) -> None:
    large.connection.execute("ANALYZE version, upload")
    with connected(module_database) as connection:
        seen = large.by(connection)
        for case in CASES:
            check(seen, case)
        check_look_up(seen)


@pytest.mark.parametrize("delimiter", ["", "/"])
@pytest.mark.parametrize("start", ["dir0/", "dir0/5", "dir0/9"])
def test_a_page_of_a_large_bucket_costs_what_one_of_a_small_bucket_costs(
    large: Bucket, start: str, delimiter: str
) -> None:
    small = Bucket(large.connection)
    small.fill("dir%s/%s", count=999)
    asked = ("dir0/", delimiter, start, "dir00", 101)

    in_large, in_small = (bucket.cost(CURRENT, bucket.id, *asked) for bucket in (large, small))

    assert [row[0] for row in in_large[2]] == [row[0] for row in in_small[2]]
    assert in_large[:2] == in_small[:2]
    pages = large.pages(CURRENT, large.id, *asked) - small.pages(CURRENT, small.id, *asked)
    assert pages <= ONCE


@pytest.mark.parametrize("statement", [VERSIONS, UPLOADS])
@pytest.mark.parametrize("delimiter", ["", "/"])
def test_a_page_goes_on_amid_ten_thousand_rows_of_one_key(
    large: Bucket, statement: str, delimiter: str
) -> None:
    def page(within: object, most: int) -> tuple[int, int, list[Any]]:
        return large.cost(statement, large.id, "", delimiter, "often", within, "oftf", most)

    whole = page(None, 20_000)[2]
    ids = [next(value for value in row if hasattr(value, "hex")) for row in whole]

    scanned, touched, rows = page(ids[5000], 101)

    assert len(whole) == 10_000
    assert rows == whole[5001:5102]
    assert scanned == 0
    assert touched <= 101 + 5


def test_dead_rows_cost_nothing_once_they_are_vacuumed(large: Bucket) -> None:
    asked = (large.id, "dead", "/", "dead", "deae", 1001)
    assert large.cost(CURRENT, *asked) == (0, 0, [])
    deadline = time.monotonic() + PATIENCE_S
    while True:
        large.connection.execute("VACUUM version")
        pages = large.pages(CURRENT, *asked)
        # Somebody's snapshot may still hold them for a moment.
        if pages <= ONCE or time.monotonic() > deadline:
            break
        time.sleep(0.2)

    assert pages <= ONCE


def check_look_up(bucket: Bucket, function: str = "look_up") -> None:
    """Let many questions touch one row each."""
    keys = [f"dir{n // 1000}/{n}" for n in range(1, 65_000, 1000)]
    count = len(keys)

    scanned, touched, rows = bucket.cost(
        f"SELECT * FROM {function}(%s)",
        psycopg.types.json.Json(
            [{"a": bucket.key, "b": bucket.name, "k": key, "w": 1} for key in keys]
        ),
    )

    assert [row[3] for row in rows] == [str(bucket.id)] * count
    assert all(row[6] is not None for row in rows)
    assert scanned == 0
    assert touched == count


@pytest.mark.parametrize("function", ["look_up", "look_current"])
def test_a_look_up_touches_one_row_per_question(large: Bucket, function: str) -> None:
    check_look_up(large, function)


def test_a_look_up_of_one_version_passes_by_the_key_s_others(large: Bucket) -> None:
    ids = large.connection.execute(
        "SELECT id::text FROM version WHERE key = 'often' AND bucket_id = %s AND rank %% 100 = 0",
        (large.id,),
    ).fetchall()

    scanned, touched, rows = large.cost(
        "SELECT * FROM look_up(%s)",
        psycopg.types.json.Json(
            [{"b": large.name, "k": "often", "v": version, "w": 1} for (version,) in ids]
        ),
    )

    assert [str(row[6]) for row in rows] == [version for (version,) in ids]
    assert (scanned, touched) == (0, 100)


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
            "rows": [{"kind": "put", "decision": 0}],
            "bodies": [body],
        }
    )

    scanned, touched, rows = large.cost(
        "SELECT * FROM commit_versions(%s, '{}', '{}', '{}', '{}', '{}', false)", batch
    )

    assert rows[0][0] == "done"
    assert scanned == 0
    assert 1 <= touched <= 3
