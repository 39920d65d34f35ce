"""Asking for pages of a listing: how long one takes, what it touches, how fast a walk goes.

Here: questions as a client asks them and as the database is asked. Not here: which are asked, what
is printed (benchmarks.listing), how buckets are filled (benchmarks.listing_fill).
"""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import time
from collections import Counter
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import psycopg

from benchmarks import listing_fill, processes
from benchmarks.client import Access, Connection, Fault, Pair, Signer, once
from benchmarks.home import database_url

PAGE = 1000
WALKS: dict[str, list[Pair]] = {
    "v1": [],
    "v2": [("list-type", "2")],
    "versions": [("versions", "")],
}
_AFTER = {"v1": "marker", "v2": "start-after", "versions": "key-marker"}


@dataclass(frozen=True)
class Question:
    """One page of a bucket: how a client asks for it, and the statement that answers."""

    bucket: str
    query: tuple[Pair, ...]
    statement: str
    parameters: tuple[object, ...]


class Bench:
    def __init__(self, access: Access, home: Path, repeat: int) -> None:
        self._signer = Signer(access)
        self._home = home
        self._repeat = repeat
        self.database: listing_fill.Database = psycopg.connect(database_url(home), autocommit=True)
        # As connections of the data path are set up.
        self.database.execute("SET plan_cache_mode = force_generic_plan")
        self.database.execute("SET enable_seqscan = off")
        self._ids: dict[str, object] = {}

    async def bucket(self, name: str) -> object:
        """Make a bucket; its id."""
        name = f"listing-{name}-{os.getpid()}"
        await once(self._signer, "PUT", f"/{name}")
        row = self.database.execute("SELECT id FROM bucket WHERE name = %s", (name,)).fetchone()
        assert row is not None
        self._ids[name] = row[0]
        return row[0]

    async def remove(self) -> None:
        """Take away everything that was made."""
        listing_fill.clear(self.database, list(self._ids.values()))
        for name in self._ids:
            await once(self._signer, "DELETE", f"/{name}", ok=(204,))

    def key_at(self, bucket: object, place: int) -> str:
        """The current key in that place, counted from 1; the empty text for 0."""
        row = (
            self.database.execute(
                "SELECT key FROM version WHERE bucket_id = %s AND is_latest AND NOT is_marker"
                " ORDER BY key OFFSET %s LIMIT 1",
                (bucket, place - 1),
            ).fetchone()
            if place
            else None
        )
        return str(row[0]) if row else ""

    def question(
        self, bucket: object, kind: str, *, prefix: str = "", delimiter: str = "", after: str = ""
    ) -> Question:
        name = next(name for name, known in self._ids.items() if known == bucket)
        query = [*WALKS[kind], (_AFTER[kind], after), ("prefix", prefix), ("delimiter", delimiter)]
        start = after + "\1" if after else prefix
        upper = prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else None
        if kind == "versions":
            statement = "SELECT * FROM list_versions(%s, %s, %s, %s, NULL, %s, %s)"
        else:
            statement = "SELECT * FROM list_current(%s, %s, %s, %s, %s, %s)"
        return Question(
            name,
            tuple(pair for pair in query if pair[1] or pair[0] == "versions"),
            statement,
            (bucket, prefix, delimiter, start, upper, PAGE + 1),
        )

    def touched(self, question: Question) -> int:
        """Pages of the database this page touches."""
        found = []
        for _ in range(3):
            row = self.database.execute(
                f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {question.statement}",
                question.parameters,
            ).fetchone()
            assert row is not None
            plan = row[0][0]["Plan"]  # type: ignore[index]
            found.append(int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"]))
        return min(found)

    async def times(self, *questions: Question) -> list[tuple[float, int]]:
        """Median milliseconds and the number of entries of each, asked by turns."""
        connection = Connection(self._signer.host, self._signer.port)
        taken: list[list[float]] = [[] for _ in questions]
        entries = [0] * len(questions)
        for turn in range(self._repeat + 1):
            for place, question in enumerate(questions):
                head = self._signer.head("GET", f"/{question.bucket}", query=question.query)
                began = time.perf_counter()
                answer = await connection.ask(head)
                spent = time.perf_counter() - began
                if answer.status != 200:
                    raise Fault(f"status {answer.status} {answer.body[:200]!r}")
                entries[place] = entries_of(answer.body)
                if turn:  # the first one warms up
                    taken[place].append(spent * 1000)
        connection.close()
        return [(statistics.median(t), count) for t, count in zip(taken, entries, strict=True)]

    async def one(self, question: Question) -> float:
        """Milliseconds of a single request."""
        connection = Connection(self._signer.host, self._signer.port)
        head = self._signer.head("GET", f"/{question.bucket}", query=question.query)
        began = time.perf_counter()
        await connection.ask(head)
        connection.close()
        return (time.perf_counter() - began) * 1000

    async def walk(
        self, bucket: object, kind: str, connections: int, seconds: float
    ) -> tuple[float, Counter[str], float]:
        """Keys per second of walking page by page; CPU seconds by role and of this client, per
        million keys."""
        name = self.question(bucket, kind).bucket
        keys = 0
        before, own = processes.cpu_by_role(self._home), time.process_time()
        start = time.perf_counter()
        stop = start + seconds

        async def worker(number: int) -> None:
            nonlocal keys
            connection = Connection(self._signer.host, self._signer.port)
            query = [*WALKS[kind], (_AFTER[kind], f"flat/{number * 16 // connections:x}")]
            while time.perf_counter() < stop:
                answer = await connection.ask(self._signer.head("GET", f"/{name}", query=query))
                if answer.status != 200:
                    raise Fault(f"status {answer.status} {answer.body[:200]!r}")
                keys += entries_of(answer.body)
                query = [*WALKS[kind], *_going_on(kind, answer.body)]
            connection.close()

        await asyncio.gather(*(worker(number) for number in range(connections)))
        took = time.perf_counter() - start
        cpu = processes.cpu_by_role(self._home)
        cpu.subtract(before)
        per_million = Counter({role: used * 1e6 / keys for role, used in cpu.items()})
        return keys / took, per_million, (time.process_time() - own) * 1e6 / keys


def entries_of(body: bytes) -> int:
    return body.count(b"<LastModified>") + body.count(b"<CommonPrefixes>")


def _going_on(kind: str, body: bytes) -> list[Pair]:
    """Parameters of the next page; none after the last."""
    if b"<IsTruncated>true</IsTruncated>" not in body:
        return []
    if kind == "v2":
        return [("continuation-token", _text(body, b"NextContinuationToken"))]
    if kind == "v1":
        return [("marker", _text(body[body.rfind(b"<Key>") :], b"Key"))]
    return [
        ("key-marker", _text(body, b"NextKeyMarker")),
        ("version-id-marker", _text(body, b"NextVersionIdMarker")),
    ]


def _text(body: bytes, name: bytes) -> str:
    found = re.search(b"<%b>([^<]*)</%b>" % (name, name), body)
    assert found is not None
    return unescape(found[1].decode())
