"""Objects of a live store, at rest: written, waited for, and looked at while files are hurt.

Here: the objects, their segments' files as they were, what the store says of them. Not here: where
bytes lie (`at_rest`), how files are hurt (`bit_rot`).
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from benchmarks.client import Signer, once
from storage_nodes.shard_file import HEADER_SIZE
from storage_nodes.shard_name import ShardName
from tests.support.at_rest import EXTENTS, Segment, segments_of
from tests.support.local_store import LocalStore, wait_for

WITHIN_S = 180.0


class Resting:
    """Objects of one store, the segments they lie in, and the files of those."""

    def __init__(self, store: LocalStore, seed: int) -> None:
        self.store = store
        self.bodies: dict[str, bytes] = {}
        self.segments: list[Segment] = []
        self.before: dict[tuple[UUID, int], bytes] = {}
        self.chance = random.Random(seed)
        self.folders = {drive: Path(path) for drive, path in self.sql("SELECT id, path FROM drive")}
        self._signer = Signer(store.access)

    def put(self, bucket: str, sizes: Sequence[int], storage_policy: str = "ec-6-3") -> None:
        """Objects of these sizes in a new bucket of that policy."""
        paths = {f"/{bucket}/{n}": self.chance.randbytes(size) for n, size in enumerate(sizes)}
        asyncio.run(self._put_all(bucket, storage_policy, paths))
        self.bodies.update(paths)

    async def _put_all(self, bucket: str, storage_policy: str, paths: dict[str, bytes]) -> None:
        await once(self._signer, "PUT", f"/{bucket}")
        await asyncio.to_thread(
            self.sql,
            "UPDATE bucket SET storage_policy = %s WHERE name = %s",
            storage_policy,
            bucket,
        )
        for path, body in paths.items():
            await once(self._signer, "PUT", path, body=body)

    def rest(self, state: str) -> None:
        """Wait until everything is `stored` (coded) or `sealed`, and remember every file."""

        def are_at_rest() -> bool:
            self.segments = self._look()
            states = self.sql(
                "SELECT DISTINCT state FROM segment WHERE id = ANY (%s)",
                [segment.id for segment in self.segments],
            )
            # Unpaused, a sealed one may move on at any moment.
            return {found for (found,) in states} == {state}

        wait_for(are_at_rest, f"segments to be {state}", within_s=WITHIN_S, tail=self.tail)
        wait_for(self._is_mended, "every shard to be written", within_s=WITHIN_S, tail=self.tail)
        self.segments = self._look()
        self.before = {
            (segment.id, index): self.path(segment, index).read_bytes()
            for segment in self.segments
            for index in range(len(segment.drives))
        }

    def read_all(self) -> list[str]:
        """GET everything; the paths whose answer was not exactly what was written."""
        return asyncio.run(self._read_all())

    async def _read_all(self) -> list[str]:
        wrong = []
        for path, body in self.bodies.items():
            answer = await once(self._signer, "GET", path)
            if answer.body != body:
                wrong.append(path)
        return wrong

    def path(self, segment: Segment, index: int) -> Path:
        name = ShardName(segment.id, segment.epoch, index)
        return self.folders[segment.drives[index]] / name.path

    def found(self, *options: str) -> tuple[int, dict[tuple[UUID, int, int], str]]:
        """What `cluster verify` says of these objects' segments; its exit status."""
        status, document = _verify(self.store, *options)
        mine = {str(segment.id) for segment in self.segments}
        return status, {
            (UUID(one["segment"]), one["index"], one["drive"]): one["kind"]
            for one in document["findings"]
            if one["segment"] in mine
        }

    def wait_until_mended(self) -> None:
        """Repairs that wait for their next look have it soon."""

        def is_mended() -> bool:
            self.hurry("repair")
            return self._is_mended()

        wait_for(is_mended, "shards to be mended", within_s=WITHIN_S, tail=self.tail)

    def hurry(self, family: str) -> None:
        """As if the time until these jobs are looked at again had passed."""
        self.sql(
            "UPDATE job SET run_at = now() WHERE family = %s AND state = 'ready'"
            " AND run_at > now() + interval '1 second'",
            family,
        )
        self.sql("NOTIFY job")

    def changed(self) -> list[str]:
        """Shards whose file is not, byte for byte, what it was before the damage."""
        return [
            f"{now.id}.{index}"
            for now in self._look()
            for index in range(len(now.drives))
            if not self._is_as_before(now, index)
        ]

    def noticed(self) -> set[tuple[UUID, int]]:
        rows = self.sql(
            "SELECT segment_id, index FROM segment_shard WHERE segment_id = ANY (%s)",
            [segment.id for segment in self.segments],
        )
        return {(segment, index) for segment, index in rows}

    def sql(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.store.database_url, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def paused(self, family: str) -> Iterator[None]:
        """Jobs of that family wait meanwhile."""
        self._pause(family, True)
        try:
            yield
        finally:
            self._pause(family, False)

    def _pause(self, family: str, paused: bool) -> None:
        self.sql(
            "INSERT INTO job_family (name, paused, changed) VALUES (%s, %s, now())"
            " ON CONFLICT (name) DO UPDATE SET paused = excluded.paused, changed = now()",
            family,
            paused,
        )

    def tail(self) -> str:
        """What the store has noticed and owes, for a failure's message."""
        jobs = self.sql("SELECT family, subject, state, attempts, last_error FROM job")
        return "\n".join([str(self.noticed()), *map(str, jobs)])

    def _is_as_before(self, now: Segment, index: int) -> bool:
        was = self.before[now.id, index]
        try:
            found = self.path(now, index).read_bytes()
        except FileNotFoundError:
            return False
        if now.layout == "coded":
            return found == was
        # Behind the last record a copy may hold more zeros, or fewer.
        end = HEADER_SIZE + now.payload
        return found[:end] == was[:end]

    def _is_mended(self) -> bool:
        return not self.noticed() and all(0 not in segment.drives for segment in self._look())

    def _look(self) -> list[Segment]:
        """The segments these objects lie in, as they are now."""
        return segments_of(self.bodies, self.sql(EXTENTS))


def _verify(store: LocalStore, *options: str) -> tuple[int, dict[str, Any]]:
    """`manage.py cluster verify --json`: exit status and document."""
    done = store.command("cluster", "verify", "--json", *options, within_s=600)
    assert done.returncode in (0, 3), done.stderr[-2000:]
    return done.returncode, json.loads(done.stdout)
