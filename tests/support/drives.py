"""A cluster of drives in memory, and sealed segments on it, for tests of background work.

The rows are real (the test's database), the bytes are in memory; drives are lost and spoiled by
hand.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import connection

from core import failpoints
from storage_nodes.pack_format import aligned
from storage_nodes.shard_file import HEADER_SIZE
from storage_nodes.shard_name import ShardName
from storage_nodes.stores.base import ShardStore
from storage_nodes.stores.memory import MemoryShardStore
from tests.support.packed import packed, random_payloads
from tests.support.segments import MemoryDrive
from tests.support.shard_stores import Attend, AttendedStore
from workers import storage as worker_storage

CLUSTER = UUID(int=7)


class MemoryStorage:
    """What `workers.storage.Storage` asks for."""

    def __init__(self, drives: int = 12, zones: int = 3) -> None:
        self.cluster = CLUSTER
        self.everything = {n: MemoryShardStore() for n in range(1, drives + 1)}
        self._drives = {n: MemoryDrive(n, f"zone-{n % zones}") for n in self.everything}
        self.lost: set[int] = set()
        self._removed: set[int] = set()
        self._instead: dict[int, ShardStore] = {}
        self._read_only: set[int] = set()
        self._unreachable: set[int] = set()

    @property
    def stores(self) -> Mapping[int, ShardStore]:
        away = self.lost | self._unreachable
        return {
            n: self._instead.get(n, store) for n, store in self.everything.items() if n not in away
        }

    def refresh(self) -> None:
        return

    def writable(self) -> Sequence[MemoryDrive]:
        return [d for d in self._takers() if not self.stores[d.id].is_silent]

    def silent(self) -> Sequence[MemoryDrive]:
        return [d for d in self._takers() if self.stores[d.id].is_silent]

    def _takers(self) -> list[MemoryDrive]:
        return [
            d for d in self._drives.values() if d.id in self.stores and d.id not in self._read_only
        ]

    def is_lost(self, drive: int) -> bool:
        return drive in self.lost

    def is_removed(self, drive: int) -> bool:
        return drive in self._removed

    def lose(self, *drives: int) -> None:
        """The drives and all that was on them are gone for good."""
        for drive in drives:
            self.lost.add(drive)
            self.everything[drive] = MemoryShardStore()

    def miss(self, *drives: int) -> None:
        """The drives are gone, for all anybody knows; what is on them may come back."""
        self.lost.update(drives)

    def remove(self, *drives: int) -> None:
        """The drives are gone, and an operator says that they stay so."""
        self.lose(*drives)
        self._removed.update(drives)

    def bring_back(self, *drives: int) -> None:
        self.lost.difference_update(drives)

    def attend(self, attend: Attend, *drives: int) -> None:
        """Somebody attends to what is done on these drives, or on all."""
        for drive in drives or list(self.everything):
            self.everything[drive] = AttendedStore(self.everything[drive], attend)

    def hide(self, *drives: int) -> None:
        """Not reachable for now."""
        self._unreachable.update(drives)

    def show(self, *drives: int) -> None:
        self._unreachable.difference_update(drives)

    def use(self, drive: int, store: ShardStore) -> None:
        """Another store has the drive's place."""
        self._instead[drive] = store

    def only_reads(self, *drives: int) -> None:
        self._read_only.update(drives)

    def file(self, drive: int, segment: UUID, epoch: int, index: int) -> bytearray:
        return self.everything[drive].shards[ShardName(segment, epoch, index)]

    def files(self) -> set[tuple[int, str]]:
        """Every published file: drive and name."""
        return {(n, str(name)) for n, store in self.everything.items() for name in store.shards}


@contextmanager
def installed() -> Iterator[MemoryStorage]:
    """Drives in memory, as those that background work in this process uses. Failpoints armed
    meanwhile are not afterwards.
    """
    made = MemoryStorage()
    worker_storage.install(made)
    try:
        yield made
    finally:
        worker_storage.install(None)
        failpoints.arm("")


class SealedPack:
    """A sealed pack segment with rows, copies and extents."""

    def __init__(
        self,
        storage: MemoryStorage,
        lengths: Sequence[int],
        *,
        seed: int = 1,
        policy: str = "ec-6-3",
    ) -> None:
        made = packed(CLUSTER, random_payloads(lengths, seed))
        self.id = made.segment
        self.payloads = {one.version: one.payload for one in made.records}
        self.drives = made.copies.drives
        size = aligned(len(made.space), 4096)
        for index, drive in enumerate(self.drives):
            file = bytearray(made.file(index))
            file.extend(bytes(size - len(made.space)))
            storage.everything[drive].shards[made.name(index)] = file
        ask(
            "INSERT INTO segment (id, storage_policy, layout, state, epoch, size, drives,"
            " confirmed, sealed_at)"
            " VALUES (%s, %s, 'replicated', 'sealed', 1, %s, %s, %s, now()) RETURNING id",
            self.id,
            policy,
            size,
            self.drives,
            [size] * len(self.drives),
        )
        for one in made.records:
            ask(
                'INSERT INTO extent (version_id, position, segment_id, "offset", record_size, skip,'
                " length) VALUES (%s, 0, %s, %s, %s, 0, %s) RETURNING id",
                one.version,
                self.id,
                one.place,
                len(one.payload),
                len(one.payload),
            )

    def spoil(self, storage: MemoryStorage, copy: int, place: int = 100) -> None:
        storage.file(self.drives[copy], self.id, 1, copy)[HEADER_SIZE + place] ^= 1


def big(storage: MemoryStorage, seed: int = 1) -> SealedPack:
    """A sealed segment of a dozen objects, large enough to be coded alone."""
    lengths = [random.Random(seed).randrange(1, 200_000) for _ in range(12)]
    return SealedPack(storage, lengths, seed=seed)


def forget(version: UUID) -> None:
    """The version is deleted: no extent of it is left."""
    ask("DELETE FROM extent WHERE version_id = %s RETURNING id", version)


def located(version: UUID) -> tuple[UUID, int, int]:
    """Segment, offset and length of a version's one extent."""
    row = ask(
        'SELECT segment_id, "offset", record_size FROM extent WHERE version_id = %s', version
    )[0]
    return row[0], row[1], row[2]


def ask(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())
