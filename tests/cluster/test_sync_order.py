"""Nothing is committed before its bytes are on stable storage: read from a trace of the system
calls.

The store's processes note every write, fsync, fdatasync and link that returned. For each
acknowledged object the calls on the files that hold it are compared with the moment its
transaction began, which PostgreSQL wrote into the journal's row and which lies before its COMMIT.

The same comparison must find every object wanting when the store leaves its fsyncs out.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from benchmarks.client import Signer, once
from storage_nodes.pack_format import record_length
from storage_nodes.shard_file import HEADER_SIZE
from storage_nodes.shard_name import ShardName
from tests.support.local_store import SMALL, LocalStore, running_store
from tests.support.repository import REPOSITORY

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

TRACER = REPOSITORY / "tests" / "support" / "tracer"
BUCKET = "traced"
WRITES = ("write", "durable write")
SIZES = [1, 4096, 4096, 70_000, 300_000, 4096, 9, 1_200_000, 700_000]


@dataclass(frozen=True)
class Call:
    name: str
    device: int
    inode: int
    offset: int
    length: int
    began: int
    ended: int


@dataclass(frozen=True)
class Kept:
    """One acknowledged object: when its transaction began, and the files that hold it."""

    key: str
    began: int
    packed: bool
    offset: int
    length: int
    files: list[Path]


def traced_store(folder: Path, settings: dict[str, str]) -> Iterator[LocalStore]:
    trace = folder / "trace"
    trace.mkdir()
    quiet = {"OBJSTORE_PACKING_SEAL_AFTER_S": "900", "OBJSTORE_PACKING_OPEN_MAX_S": "900"}
    tracing = {"PYTHONPATH": f"{TRACER}:{REPOSITORY}", "SYNC_TRACE": str(trace)}
    with running_store({**SMALL, **quiet, **tracing, **settings}) as store:
        asyncio.run(put_objects(store))
        yield store


async def put_objects(store: LocalStore) -> None:
    signer = Signer(store.access)
    await once(signer, "PUT", f"/{BUCKET}")
    chance = random.Random(1)
    bodies = [chance.randbytes(size) for size in SIZES * 3]
    for first in range(0, len(bodies), 6):
        await asyncio.gather(
            *(
                once(signer, "PUT", f"/{BUCKET}/{first + n}", body=body)
                for n, body in enumerate(bodies[first : first + 6])
            )
        )


def kept(store: LocalStore) -> list[Kept]:
    with psycopg.connect(store.database_url) as connection:
        paths = dict(connection.execute("SELECT id, path FROM drive").fetchall())
        rows = connection.execute(
            "SELECT c.key, extract(epoch FROM c.at)::text, s.id, s.layout, s.epoch, s.drives,"
            ' e."offset", e.record_size, e.length FROM change c'
            " JOIN version v ON v.key = c.key AND -v.rank = c.seq"
            " JOIN extent e ON e.version_id = v.id JOIN segment s ON s.id = e.segment_id"
            " WHERE c.kind = 'put'"
        ).fetchall()
    found = []
    for key, at, segment, layout, epoch, drives, offset, record_size, length in rows:
        assert isinstance(segment, UUID)
        seconds, _, micros = at.partition(".")
        found.append(
            Kept(
                key=key,
                began=int(seconds) * 10**9 + int(micros.ljust(9, "0")[:9]),
                packed=layout == "replicated",
                offset=offset,
                length=record_length(record_size) if record_size is not None else length,
                files=[
                    Path(paths[drive]) / ShardName(segment, epoch, index).path
                    for index, drive in enumerate(drives)
                    if drive
                ],
            )
        )
    return found


def calls(folder: Path) -> list[Call]:
    return [
        Call(*json.loads(line))
        for path in (folder / "trace").iterdir()
        for line in path.read_text().splitlines()
    ]


def durable_copies(it: Kept, traced: list[Call]) -> int:
    """Files of the object that were wholly durable, name included, before its transaction began."""
    before = [call for call in traced if call.ended <= it.began]
    return sum(is_durable(it, path, before) for path in it.files if path.exists())


def is_durable(it: Kept, path: Path, before: list[Call]) -> bool:
    found, folder = path.stat(), path.parent.stat()
    on_file = [c for c in before if (c.device, c.inode) == (found.st_dev, found.st_ino)]
    on_folder = [c for c in before if (c.device, c.inode) == (folder.st_dev, folder.st_ino)]
    syncs = [c for c in on_file if c.name in ("fsync", "fdatasync")]
    if it.packed:
        start = HEADER_SIZE + it.offset
        written = [
            c
            for c in on_file
            if c.name in WRITES and c.offset < start + it.length and c.offset + c.length > start
        ]
    else:
        written = [c for c in on_file if c.name in WRITES]
    if not written:
        return False
    last = max(c.ended for c in written)
    first_link = min((c.began for c in on_folder if c.name == "link"), default=None)
    return (
        (any(c.began >= last for c in syncs) or all(c.name == "durable write" for c in written))
        and first_link is not None
        and any(c.name == "fsync" and c.began >= first_link for c in on_folder)
    )


def needed(it: Kept) -> int:
    """Two copies of a packed object; eight shards of nine of a large one."""
    return 2 if it.packed else 8


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    yield from traced_store(tmp_path, {})


@pytest.fixture
def careless_store(tmp_path: Path) -> Iterator[LocalStore]:
    yield from traced_store(tmp_path, {"OBJSTORE_PROOF_SKIP_FSYNC": "true"})


def test_bytes_and_names_are_durable_before_the_transaction_begins(store, tmp_path):
    objects, traced = kept(store), calls(tmp_path)

    wanting = [it.key for it in objects if durable_copies(it, traced) < needed(it)]

    assert {it.packed for it in objects} == {True, False}
    assert len(objects) == 3 * len(SIZES)
    assert not wanting


def test_with_the_fsyncs_left_out_every_object_is_found_wanting(careless_store, tmp_path):
    objects, traced = kept(careless_store), calls(tmp_path)

    wanting = [it.key for it in objects if durable_copies(it, traced) < needed(it)]

    assert len(objects) == 3 * len(SIZES)
    assert len(wanting) == len(objects)
