"""Rot in the files of a live store: put there by kind and seed, met by reads, found by `cluster
verify`, repaired byte for byte.

Here: objects to be hurt, the kinds of damage, what must come of it. Not here: where bytes lie
(`at_rest`), how many rounds (the tests and `make chaos` say so).
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from benchmarks.client import Signer, once
from storage_nodes.pack_format import RECORD_HEADER
from storage_nodes.shard_file import HEADER_SIZE, BlockSums, ShardHeader, parse_header
from storage_nodes.shard_name import ShardName
from tests.support.at_rest import EXTENTS, Range, Segment, segments_of
from tests.support.local_store import ROOT, LocalStore, wait_for

WITHIN_S = 180.0
PAGE = 4096


class Unbearable(Exception):
    """No segment can bear any more of that."""


@dataclass(frozen=True, slots=True)
class Harm:
    """One shard hurt, and what must be said of it."""

    kind: str
    segment: UUID
    index: int
    drive: int
    finding: str
    is_met: bool  # a GET of every object must meet it


class Rot:
    """Objects of one store, and what is done to the files that hold them."""

    def __init__(self, store: LocalStore, seed: int) -> None:
        self.store = store
        self.bodies: dict[str, bytes] = {}
        self.harms: list[Harm] = []
        self.segments: list[Segment] = []
        self.before: dict[tuple[UUID, int], bytes] = {}
        self._chance = random.Random(seed)
        self._signer = Signer(store.access)
        self._folders = {
            drive: Path(path) for drive, path in self.sql("SELECT id, path FROM drive")
        }

    # --- objects ---

    def put(self, bucket: str, sizes: Sequence[int], storage_policy: str = "ec-6-3") -> None:
        """Objects of these sizes in a new bucket of that policy."""
        paths = {f"/{bucket}/{n}": self._chance.randbytes(size) for n, size in enumerate(sizes)}
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

        wait_for(are_at_rest, f"segments to be {state}", within_s=WITHIN_S, tail=self._tail)
        wait_for(self._is_mended, "every shard to be written", within_s=WITHIN_S, tail=self._tail)
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

    # --- damage ---

    def hurt(self, kinds: Sequence[str]) -> None:
        """Each kind once, on shards the seed chooses, within what the segments can bear."""
        for kind in kinds:
            KINDS[kind](self, kind)

    def hurt_fully(self, kinds: Sequence[str], duplicates: int = 3) -> None:
        """Kinds the seed chooses, until no segment can bear any more."""
        left = sorted(set(kinds) - {"duplicate"})
        while left:
            kind = self._chance.choice(left)
            try:
                KINDS[kind](self, kind)
            except Unbearable:
                left.remove(kind)
        self.hurt(["duplicate"] * duplicates)

    def choose(
        self, suits: Callable[[Segment, int], object] = lambda *_: True, *, width: int = 1
    ) -> tuple[Segment, list[int]]:
        """A segment that can bear it, and `width` of its shards."""
        able = []
        for segment in self.segments:
            indexes = [index for index in segment.unhurt() if suits(segment, index)]
            if segment.budget >= width and len(indexes) >= width:
                able.append((segment, indexes))
        if not able:
            raise Unbearable
        segment, indexes = self._chance.choice(able)
        chosen = self._chance.sample(indexes, width)
        segment.hurt.update(chosen)
        return segment, chosen

    def path(self, segment: Segment, index: int) -> Path:
        name = ShardName(segment.id, segment.epoch, index)
        return self._folders[segment.drives[index]] / name.path

    def note(self, kind: str, segment: Segment, index: int, finding: str, is_met: bool) -> None:
        drive = segment.drives[index]
        self.harms.append(Harm(kind, segment.id, index, drive, finding, is_met))

    def flip(self, kind: str) -> None:
        """One bit: of data a GET reads, of parity, of the header, of table or trailer."""
        suits: dict[str, Callable[[Segment, int], object]] = {
            "flip data": lambda segment, index: segment.live(index),
            "flip parity": lambda segment, index: index >= segment.needed,
        }
        segment, (index,) = self.choose(suits.get(kind, lambda *_: True))
        places: dict[str, list[Range]] = {
            "flip data": [(HEADER_SIZE + a, HEADER_SIZE + b) for a, b in segment.live(index)],
            "flip record header": [
                (HEADER_SIZE + extent.offset, HEADER_SIZE + extent.offset + RECORD_HEADER)
                for extent in segment.extents
            ],
            "flip parity": [(HEADER_SIZE, HEADER_SIZE + segment.payload)],
            "flip header": [(0, HEADER_SIZE)],
            "flip footer": [(HEADER_SIZE + segment.payload, len(self.before[segment.id, index]))],
        }
        at = self._chance.randrange(*self._chance.choice(places[kind]))
        with self.path(segment, index).open("r+b") as file:
            file.seek(at)
            was = file.read(1)[0]
            file.seek(at)
            file.write(bytes([was ^ 1 << self._chance.randrange(8)]))
        is_met = kind == "flip data" and segment.layout == "coded"
        self.note(kind, segment, index, "corrupt", is_met)

    def zero(self, kind: str) -> None:
        """A page of what is read, or of parity, is zeros."""
        segment, (index,) = self.choose(lambda s, i: s.live(i) or i >= s.needed)
        live = segment.live(index)
        was, matters = self.before[segment.id, index], b""
        while not any(matters):
            start, stop = self._chance.choice(live or [(0, segment.payload)])
            page = self._chance.randrange(start // PAGE, -(-stop // PAGE)) * PAGE
            first, last = max(start, page), min(stop, page + PAGE)
            matters = was[HEADER_SIZE + first : HEADER_SIZE + last]
        with self.path(segment, index).open("r+b") as file:
            file.seek(HEADER_SIZE + page)
            file.write(bytes(min(PAGE, segment.payload - page)))
        self.note(kind, segment, index, "corrupt", bool(live) and segment.layout == "coded")

    def truncate(self, kind: str) -> None:
        """It ends early."""
        segment, (index,) = self.choose()
        end = HEADER_SIZE + segment.payload
        size = len(self.before[segment.id, index]) if segment.layout == "coded" else end
        left = self._chance.randrange(size)
        os.truncate(self.path(segment, index), left)
        self.note(kind, segment, index, "truncated", self._reads_end(segment, index, left))

    def delete(self, kind: str) -> None:
        segment, (index,) = self.choose()
        self.path(segment, index).unlink()
        self.note(kind, segment, index, "missing", self._reads_end(segment, index, 0))

    def swap(self, kind: str) -> None:
        """Two files change places: of one segment, or of two."""
        if kind == "swap within":
            one, (first, second) = self.choose(width=2)
            other = one
        else:
            one, (first,) = self.choose()
            try:
                other, (second,) = self.choose(lambda segment, _: segment.id != one.id)
            except Unbearable:
                one.hurt.discard(first)
                raise
        here, there = self.path(one, first), self.path(other, second)
        aside = here.with_name("aside")
        here.rename(aside)
        there.rename(here)
        aside.rename(there)
        for segment, index in ((one, first), (other, second)):
            self.note(kind, segment, index, "swapped", self._reads_end(segment, index, 0))

    def stale(self, kind: str) -> None:
        """The file of an older layout under the name of this one, whole in itself."""
        segment, (index,) = self.choose()
        path = self.path(segment, index)
        now = parse_header(self.before[segment.id, index])
        older = ShardName(segment.id, segment.epoch - 1, index)
        header = ShardHeader(
            cluster=now.cluster,
            name=older,
            layout=now.layout,
            needed=now.needed,
            parity=now.parity,
            cell_size=now.cell_size,
        )
        payload = self._chance.randbytes(segment.payload)
        sums = BlockSums(older)
        sums.update(payload)
        footer = sums.footer(segment.size).pack(older) if segment.layout == "coded" else b""
        path.write_bytes(header.pack() + payload + footer)
        self.note(kind, segment, index, "stale", self._reads_end(segment, index, 0))

    def duplicate(self, kind: str) -> None:
        """The same file on a second drive as well. Nothing is lost by it."""
        segment = self._chance.choice(self.segments)
        index = self._chance.randrange(len(segment.drives))
        drive = self._chance.choice(sorted(self._folders.keys() - set(segment.drives)))
        path = self._folders[drive] / ShardName(segment.id, segment.epoch, index).path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.before[segment.id, index])
        self.harms.append(Harm(kind, segment.id, index, drive, "orphan", False))

    def _reads_end(self, segment: Segment, index: int, left: int) -> bool:
        """Is something that a GET reads gone when only `left` bytes of the file are?"""
        ends = [HEADER_SIZE + stop for _, stop in segment.live(index)]
        return segment.layout == "coded" and any(end > left for end in ends)

    # --- what must come of it ---

    def met_by_reads(self) -> set[tuple[UUID, int]]:
        """Read everything until all that reads must meet is noted; what was noted by then."""
        due = {(harm.segment, harm.index) for harm in self.harms if harm.is_met}

        def are_met() -> bool:
            wrong = self.read_all()
            assert not wrong, f"wrong bytes were served: {wrong}"
            return due <= self.noticed()

        wait_for(are_met, "reads to meet the damage", within_s=WITHIN_S, tail=self._tail)
        return self.noticed()

    def found(self, *options: str) -> tuple[int, dict[tuple[UUID, int, int], str]]:
        """What `cluster verify` says of these objects' segments; its exit status."""
        status, document = verify(self.store, *options)
        mine = {str(segment.id) for segment in self.segments}
        return status, {
            (UUID(one["segment"]), one["index"], one["drive"]): one["kind"]
            for one in document["findings"]
            if one["segment"] in mine
        }

    def expected(self) -> dict[tuple[UUID, int, int], str]:
        return {(harm.segment, harm.index, harm.drive): harm.finding for harm in self.harms}

    def wait_until_mended(self) -> None:
        """Repairs that wait for their next look have it soon."""

        def is_mended() -> bool:
            self.hurry("repair")
            return self._is_mended()

        wait_for(is_mended, "shards to be mended", within_s=WITHIN_S, tail=self._tail)

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

    def _tail(self) -> str:
        jobs = self.sql("SELECT family, subject, state, attempts, last_error FROM job")
        return "\n".join([str(self.harms), str(self.noticed()), *map(str, jobs)])


KINDS: dict[str, Callable[[Rot, str], None]] = {
    "flip data": Rot.flip,
    "flip record header": Rot.flip,
    "flip parity": Rot.flip,
    "flip header": Rot.flip,
    "flip footer": Rot.flip,
    "zero": Rot.zero,
    "truncate": Rot.truncate,
    "delete": Rot.delete,
    "swap within": Rot.swap,
    "swap between": Rot.swap,
    "stale": Rot.stale,
    "duplicate": Rot.duplicate,
}
OF_CODED = [kind for kind in KINDS if kind != "flip record header"]
OF_COPIES = [kind for kind in KINDS if kind not in ("flip parity", "flip footer")]


def judge(rot: Rot, hurt: Callable[[], None]) -> None:
    """Hurt the objects while nothing is repaired: no wrong byte is served, reads meet what lies in
    their way, a verification finds exactly what was done. Then all of it is mended.
    """
    with rot.paused("repair"):
        hurt()
        met = rot.met_by_reads()
        status, found = rot.found()
        assert status == 3
        assert found == rot.expected(), _difference(found, rot.expected())
        assert met <= {(segment, index) for segment, index, _ in found}
        assert rot.read_all() == []
    rot.wait_until_mended()
    assert rot.changed() == []
    assert rot.read_all() == []
    _, found = rot.found()
    assert set(found.values()) <= {"orphan"}, found


def _difference(found: dict[Any, str], expected: dict[Any, str]) -> str:
    more, less = found.items() - expected.items(), expected.items() - found.items()
    return f"found only: {more}, not found: {less}"


def verify(store: LocalStore, *options: str) -> tuple[int, dict[str, Any]]:
    """`manage.py cluster verify --json`: exit status and document."""
    done = subprocess.run(
        [sys.executable, "manage.py", "cluster", "verify", "--json", *options],
        cwd=ROOT,
        env=store.environment(),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode in (0, 3), done.stderr[-2000:]
    return done.returncode, json.loads(done.stdout)
