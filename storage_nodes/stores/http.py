"""A drive of a node on another host, over HTTP.

Every request has a time-out and a capability of its own; connections are pooled. A request whose
connection broke is sent once more, because every operation may be repeated; a time-out is not.
"""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

import aiohttp
import orjson

from core import clock
from core.errors import DriveGone, NodeUnreachable, ShardMissing
from storage_nodes.node import capability
from storage_nodes.shard_name import FileName, JournalName, ShardName
from storage_nodes.stores.base import Buffer, Purpose, ShardStat, Space
from storage_nodes.stores.link import error_of

_ATTEMPTS = 2
# One request carries at most this much; the node accepts 16 MiB.
_MAX_BYTES = 8 << 20
_PAGE_OF_NAMES = 1000
_CONNECTIONS_PER_NODE = 64


class HttpNode:
    """A node's address and the pooled connections to it. Belongs to one event loop."""

    def __init__(self, address: str, *, secret: bytes, timeout_s: float) -> None:
        self._address = address.rstrip("/")
        self._secret = secret
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS_PER_NODE),
        )

    async def ask(
        self,
        method: str,
        path: str,
        *,
        operation: str,
        subject: str,
        name: FileName | None = None,
        query: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> bytes:
        """The body of a good answer; the node's error otherwise, or NodeUnreachable."""
        granted = capability.issue(
            self._secret, operation=operation, subject=subject, name=name, now=clock.timestamp()
        )
        headers = {"Authorization": f"Objstore {granted}"}
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with self._session.request(
                    method, self._address + path, params=query, data=body, headers=headers
                ) as answer:
                    content = await answer.read()
                    if answer.status == 200:
                        return content
                    trouble = orjson.loads(content)
                    raise error_of(trouble["code"], trouble["message"])
            except TimeoutError as error:
                raise NodeUnreachable(f"The node did not answer {operation} in time.") from error
            except (aiohttp.ClientError, orjson.JSONDecodeError, KeyError) as error:
                if attempt == _ATTEMPTS:
                    raise NodeUnreachable(f"The node cannot be reached: {error}.") from error
        raise AssertionError("unreachable")

    async def drives(self, node: str) -> Any:
        """What the node says of itself and its drives."""
        return orjson.loads(await self.ask("GET", "/drives", operation="drives", subject=node))

    async def close(self) -> None:
        await self._session.close()


class HttpShardStore:
    """One drive of an `HttpNode`, which others may share."""

    def __init__(self, drive: UUID, node: HttpNode) -> None:
        self.drive = drive
        self._node = node

    @property
    def is_silent(self) -> bool:
        """Nobody knows: a request whose time is over is broken off."""
        return False

    async def create(
        self,
        name: FileName,
        *,
        purpose: Purpose,
        size_bytes: int | None = None,
        header: Buffer = b"",
        uncached: bool = False,
    ) -> "HttpShardFile":
        handle, published = secrets.token_hex(16), purpose == "pack"
        file = HttpShardFile(self, name, handle, end=len(header), published=published)
        query: dict[str, str] = {"purpose": purpose}
        if size_bytes is not None:
            query["size"] = str(size_bytes)
        # Unanswered, it may have come into being; the node drops it after ten idle minutes.
        await file.ask("POST", "", "create", query, bytes(header))
        return file

    async def open(self, name: FileName) -> "HttpShardReader":
        found = await self.stat(name)
        if found is None or found.trashed:
            raise ShardMissing(shard=name)
        return HttpShardReader(self, name, found.size_bytes)

    async def stat(self, name: FileName) -> ShardStat | None:
        found = await self.of_shard("GET", name, "stat")
        return ShardStat(size_bytes=found["size"], trashed=found["trashed"]) if found else None

    async def trash(self, name: FileName) -> bool:
        return bool(await self.of_shard("POST", name, "trash"))

    async def restore(self, name: FileName) -> bool:
        return bool(await self.of_shard("POST", name, "restore"))

    async def unlink_trash(self, older_than: datetime) -> int:
        query = {"older_than": repr(older_than.timestamp())}
        return int(await self._of_drive("POST", "unlink_trash", query=query))

    async def names(self, after: ShardName | None = None) -> AsyncIterator[ShardName]:
        while True:
            query = {"limit": str(_PAGE_OF_NAMES)}
            if after is not None:
                query["after"] = str(after)
            page = await self._of_drive("GET", "names", query=query, path="shards")
            for text in page:
                after = ShardName.parse(text)
                yield after
            if len(page) < _PAGE_OF_NAMES:
                return

    async def journal_names(self) -> AsyncIterator[JournalName]:
        after = ""
        while True:
            query = {"limit": str(_PAGE_OF_NAMES), "after": after}
            page = await self._of_drive("GET", "journal", query=query)
            for after in page:
                yield JournalName.parse(after)
            if len(page) < _PAGE_OF_NAMES:
                return

    async def report_error(self, name: FileName, errno: int) -> None:
        await self.of_shard("POST", name, "report_error", {"errno": str(errno)})

    async def clear_fence(self) -> None:
        """Lift the fence of the drive: an operator's decision."""
        await self._of_drive("POST", "clear_fence")

    async def space(self) -> Space:
        found = await self._of_drive("GET", "space")
        return Space(
            size_bytes=found["size"],
            free_bytes=found["free"],
            trash_bytes=found["trash"],
            device=found["device"],
        )

    async def close(self) -> None:
        """The connections are the node's."""

    async def ask(
        self,
        method: str,
        path: str,
        operation: str,
        name: FileName | None,
        query: dict[str, str] | None,
        body: bytes | None = None,
    ) -> bytes:
        return await self._node.ask(
            method,
            f"/drives/{self.drive}/{path}",
            operation=operation,
            subject=str(self.drive),
            name=name,
            query=query,
            body=body,
        )

    async def of_shard(
        self, method: str, name: FileName, operation: str, query: dict[str, str] | None = None
    ) -> Any:
        """An operation on a published shard that answers JSON."""
        path = f"shards/{name}/{operation}"
        return orjson.loads(await self.ask(method, path, operation, name, query))

    async def _of_drive(
        self,
        method: str,
        operation: str,
        *,
        query: dict[str, str] | None = None,
        path: str | None = None,
    ) -> Any:
        return orjson.loads(await self.ask(method, path or operation, operation, None, query))


class HttpShardFile:
    """A file open at the node, under a handle made up here."""

    def __init__(
        self, store: HttpShardStore, name: FileName, handle: str, *, end: int, published: bool
    ) -> None:
        self.name = name
        self._store = store
        self._handle = handle
        self._end = end  # of what was written, or may have been
        self._published = published
        self._is_open = True

    async def write(self, offset: int, buffers: Sequence[Buffer], *, sync: bool = False) -> None:
        self._check()
        joined = memoryview(b"".join(buffers))
        self._end = max(self._end, offset + len(joined))
        for start in range(0, len(joined), _MAX_BYTES) or [0]:
            piece = bytes(joined[start : start + _MAX_BYTES])
            last = start + len(piece) == len(joined)
            query = {"offset": str(offset + start), "sync": "1" if sync and last else "0"}
            await self._change("PUT", "", "write", query, piece)

    async def sync(self) -> None:
        self._check()
        await self._change("POST", "/sync", "sync")

    async def publish(self, *, replace: bool = False) -> None:
        self._check()
        if not self._published:
            query = {"replace": "1"} if replace else None
            await self._change("POST", "/publish", "publish", query)
        await self._drop()

    async def close(self) -> None:
        await self._drop()

    async def abandon(self) -> None:
        await self._drop()

    async def ask(
        self,
        method: str,
        path: str,
        operation: str,
        query: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> None:
        query = {"name": str(self.name), **(query or {})}
        await self._store.ask(
            method, f"files/{self._handle}{path}", operation, self.name, query, body
        )

    async def _change(
        self,
        method: str,
        path: str,
        operation: str,
        query: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> None:
        """Ask; whatever fails, the file is void: bytes may be missing that nobody will sync."""
        try:
            await self.ask(method, path, operation, query, body)
        except BaseException:
            self._is_open = False
            raise

    async def _drop(self) -> None:
        was_open, self._is_open = self._is_open, False
        if was_open:
            # Unheard, the node drops the file by itself after ten idle minutes.
            with suppress(NodeUnreachable, DriveGone):
                await self.ask("DELETE", "", "abandon", {"size": str(self._end)})

    def _check(self) -> None:
        if not self._is_open:
            raise ShardMissing("The file is closed.", shard=self.name)


class HttpShardReader:
    """A shard read piece by piece; the node opens it for each."""

    def __init__(self, store: HttpShardStore, name: FileName, size: int) -> None:
        self.name = name
        self.size = size
        self._store = store
        self._is_open = True

    async def read(self, offset: int, length: int) -> bytes:
        if not self._is_open:
            raise ShardMissing("The reader is closed.", shard=self.name)
        pieces = []
        while length > 0:
            asked = min(length, _MAX_BYTES)
            query = {"offset": str(offset), "length": str(asked)}
            path = f"shards/{self.name}"
            piece = await self._store.ask("GET", path, "read", self.name, query)
            pieces.append(piece)
            if len(piece) < asked:
                break
            offset += asked
            length -= asked
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read_now(self, offset: int, length: int) -> bytes | None:
        return None

    def read_into_now(self, offset: int, place: memoryview) -> bool:
        return False

    async def close(self) -> None:
        self._is_open = False
