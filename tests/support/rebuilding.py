"""What rebuilding is tested with: drives in memory put into directories, and a story of everything
that can happen to objects.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from uuid import UUID

from django.db import connection

from buckets import control
from core.names import new_id
from core.streams import Whole
from jobs import statements
from objects import copy, multipart, tagging
from objects.draft import UNCONDITIONAL, Draft
from objects.found import DATA, NONE
from storage_nodes.node.identity import FORMAT, IDENTITY
from tenants import accounts, credentials
from tests.support.drives import CLUSTER, MemoryStorage
from tests.support.journals import copy_changes
from tests.support.namespace import Namespace
from tests.support.uploads import Listed
from tests.support.work import perform
from workers import usage
from workers.journal import SNAPSHOT


def take_snapshot() -> None:
    """A snapshot now, whether or not one is due."""
    copy_changes()
    statements.changed(
        "UPDATE journal_state SET segments = segments + 1, snapshot_at = now() - interval '2 d'"
    )
    copy_changes(SNAPSHOT)


def fold_usage() -> None:
    """Usage as it is when no delta waits."""
    perform(usage.usage)


def register(storage: MemoryStorage, zones: int = 3) -> None:
    """The rows of drives in memory."""
    for zone in range(1, zones + 1):
        _ask("INSERT INTO zone (id, name) VALUES (%s, %s)", zone, f"zone-{zone}")
        _ask(
            "INSERT INTO node (id, name, zone_id, address) VALUES (%s, %s, %s, %s)",
            UUID(int=zone),
            f"node-{zone}",
            zone,
            f"http://127.0.0.1:{zone}",
        )
    for number, store in storage.everything.items():
        _ask(
            "INSERT INTO drive (id, uuid, node_id, path) VALUES (%s, %s, %s, %s)",
            number,
            store.drive,
            UUID(int=number % zones + 1),
            f"/drives/{number}",
        )


def spill(storage: MemoryStorage, below: Path) -> dict[int, Path]:
    """Directories with what the drives in memory hold."""
    paths = {}
    for number, store in storage.everything.items():
        path = paths[number] = below / f"drive-{number}"
        path.mkdir(parents=True)
        identity = {
            "format": FORMAT,
            "version": 1,
            "cluster": str(CLUSTER),
            "drive": str(store.drive),
        }
        (path / IDENTITY).write_text(json.dumps(identity))
        for name, held in store.shards.items():
            (path / name.path).parent.mkdir(parents=True, exist_ok=True)
            (path / name.path).write_bytes(held)
        for name, (at, held) in store.trashed.items():
            (path / "trash").mkdir(exist_ok=True)
            (path / "trash" / f"{int(at.timestamp() * 1000):013d}-{name}").write_bytes(held)
    return paths


class Story:
    """Random things done to a few keys of one bucket, one after another."""

    def __init__(self, space: Namespace, seed: int) -> None:
        self._space = space
        self._chance = random.Random(seed)
        self._versions: list[tuple[str, str]] = []
        self._uploads: list[tuple[str, str]] = []

    async def tell(self, steps: int) -> None:
        for _ in range(steps):
            step = self._chance.choices(
                [
                    *(self._put, self._delete, self._delete_version, self._tag, self._copy),
                    *(self._begin, self._send, self._complete, self._abort, self._configure),
                ],
                [12, 3, 5, 3, 2, 3, 5, 2, 1, 1],
            )[0]
            await step()

    def _key(self) -> str:
        return f"key\\{self._chance.randrange(6)}\té"

    async def _put(self) -> None:
        key, content = self._key(), self._chance.randbytes(self._chance.randrange(300))
        written = await self._space.put(key, content, metadata={"n": "1"}, tags={"a": "b"})
        self._remember(key, written.version_id)

    async def _delete(self) -> None:
        key = self._key()
        self._remember(key, (await self._space.delete(key)).version_id)

    async def _delete_version(self) -> None:
        if self._versions:
            key, version = self._versions.pop(self._chance.randrange(len(self._versions)))
            await self._space.delete(key, version)

    async def _tag(self) -> None:
        key = self._key()
        found = await self._space.look(key)
        if found.version is not None and not found.version.is_marker:
            await tagging.put(self._space.store, found, key, {"t": str(self._chance.random())})

    async def _copy(self) -> None:
        source = await self._space.look(self._key(), want=DATA)
        if source.version is None or source.version.is_marker:
            return
        target, key = await self._space.look(want=NONE), self._key()
        written = await copy.copy(self._space.store, source, target, key, Draft())
        self._remember(key, written.version_id)

    async def _begin(self) -> None:
        found, key = await self._space.look(want=NONE), self._key()
        upload = await multipart.create(
            self._space.store, found, key, Draft(), checksum_algorithm=None, checksum_type=None
        )
        self._uploads.append((key, upload))

    async def _send(self) -> None:
        if self._uploads:
            await self._send_part(*self._chance.choice(self._uploads), self._chance.randint(1, 3))

    async def _send_part(self, key: str, upload: str, number: int) -> Listed:
        found = await self._space.look(want=NONE)
        body = Whole(self._chance.randbytes(self._chance.randrange(1, 200)))
        written = await multipart.upload_part(
            self._space.store, found, key, upload, number, body, Draft()
        )
        return Listed(number, written.etag)

    async def _complete(self) -> None:
        if self._uploads:
            key, upload = self._uploads.pop()
            part = await self._send_part(key, upload, 1)
            found = await self._space.look(want=NONE)
            written = await multipart.complete(
                self._space.store, found, key, upload, [part], conditions=UNCONDITIONAL
            )
            self._remember(key, written.version_id)

    async def _abort(self) -> None:
        if self._uploads:
            key, upload = self._uploads.pop()
            await multipart.abort(self._space.store, await self._space.look(want=NONE), key, upload)

    async def _configure(self) -> None:
        found = await self._space.look(want=NONE)
        assert found.bucket is not None
        body = str(self._chance.random())
        await self._space.store.control(
            control.put_document, found.bucket.id, self._chance.choice(["cors", "tagging"]), body
        )

    def _remember(self, key: str, version: str | None) -> None:
        if version not in (None, "null"):
            self._versions.append((key, str(version)))


def configure(seed: int) -> None:
    """Tenants, users, keys and buckets that come, change and go."""
    chance = random.Random(seed)
    name = f"tenant-{new_id().hex[-8:]}"
    accounts.create_tenant(name)
    user = accounts.find_user(name)
    kept, deleted = credentials.issue_key(user), credentials.issue_key(user)
    credentials.disable(kept.access_key)
    credentials.delete(deleted.access_key)
    tenant = accounts.find_tenant(name)
    for number in range(3):
        bucket = control.create(tenant.id, f"{name}-{number}", region="us-east-1")
        control.put_document(bucket.id, "tagging", str(chance.random()))
        if number:
            control.set_versioning(bucket.id, "Enabled")
            control.delete_document(bucket.id, "tagging")
        if number == 2:
            control.delete(bucket.id)
            control.create(tenant.id, f"{name}-{number}", region="eu-west-1")
    accounts.suspend(name, suspended=chance.random() < 0.5)


def _ask(statement: str, *parameters: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
