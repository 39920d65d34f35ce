"""The node's HTTP: the same drives for clients on other hosts. docs/formats/node-protocol.md §4.

Each request brings a capability for exactly what it does. Disk calls run in the drive's own
threads; the event loop never touches a disk.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import orjson
from aiohttp import web

from core import clock
from core.errors import (
    CapabilityRefused,
    InvalidArgument,
    NodeUnreachable,
    ShardMissing,
    StoreError,
)
from storage_nodes.node import capability
from storage_nodes.node.drafts import OpenFile
from storage_nodes.node.drive import Drive
from storage_nodes.node.host import this_host
from storage_nodes.node.keyfile import NodeKey
from storage_nodes.node.slot import Slot, Slots
from storage_nodes.shard_name import FileName, ShardName, parse_name
from storage_nodes.stores.base import as_purpose

log = logging.getLogger(__name__)
Result = TypeVar("Result")

MAX_BYTES = 16 << 20
_MAX_NAMES = 10_000
_MAX_OPEN_FILES = 4096
_IDLE_S = 600.0
_PREFIX = "Objstore "


class HttpDoor:
    """Routes and their handlers. Files opened over HTTP belong to this object."""

    def __init__(self, node: str, slots: Slots, key: NodeKey) -> None:
        self._node = node
        self._slots = slots
        self._key = key
        # (drive, handle) -> the file and when it was last asked for.
        self._files: dict[tuple[UUID, str], tuple[OpenFile, float]] = {}

    def application(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BYTES, middlewares=[_errors_as_json])
        drive, shard, file = "/drives/{drive}", "/shards/{name}", "/files/{handle}"
        app.add_routes(
            [
                web.get("/health", self._health),
                web.get("/drives", self._drives),
                web.get(f"{drive}/space", self._space),
                web.post(f"{drive}/clear_fence", self._clear_fence),
                web.post(f"{drive}/unlink_trash", self._unlink_trash),
                web.get(f"{drive}/shards", self._names),
                web.get(f"{drive}/journal", self._journal),
                web.get(drive + shard, self._read, allow_head=False),
                web.get(f"{drive}{shard}/stat", self._stat),
                web.post(f"{drive}{shard}/trash", self._trash),
                web.post(f"{drive}{shard}/restore", self._restore),
                web.post(f"{drive}{shard}/report_error", self._report_error),
                web.post(drive + file, self._create),
                web.put(drive + file, self._write),
                web.post(f"{drive}{file}/sync", self._sync),
                web.post(f"{drive}{file}/publish", self._publish),
                web.delete(drive + file, self._abandon),
            ]
        )
        return app

    async def forget_idle_files(self) -> None:
        """Drop files whose client has not been heard of; to be called now and then."""
        limit = clock.monotonic() - _IDLE_S
        for place, (file, asked) in list(self._files.items()):
            if asked < limit:
                del self._files[place]
                await self._discard(place[0], file)

    # -- the node -----------------------------------------------------------------------------

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def _drives(self, request: web.Request) -> web.Response:
        self._check(request, "drives", self._node, None)
        drives = [slot.describe() for slot in self._slots.slots]
        return _json({"node": self._node, "host": this_host(), "drives": drives})

    # -- one drive ----------------------------------------------------------------------------

    async def _space(self, request: web.Request) -> web.Response:
        slot = self._allowed(request, "space", None)
        found = await _in_drive(slot, lambda drive: drive.space())
        return _json(
            {
                "size": found.size_bytes,
                "free": found.free_bytes,
                "trash": found.trash_bytes,
                "device": found.device,
            }
        )

    async def _clear_fence(self, request: web.Request) -> web.Response:
        slot = self._allowed(request, "clear_fence", None)
        return _json(await _in_drive(slot, lambda drive: drive.fence.take_down()))

    async def _unlink_trash(self, request: web.Request) -> web.Response:
        slot = self._allowed(request, "unlink_trash", None)
        older_than = float(request.query["older_than"])
        return _json(await _in_drive(slot, lambda drive: drive.unlink_trash(older_than)))

    async def _names(self, request: web.Request) -> web.Response:
        slot = self._allowed(request, "names", None)
        after = request.query.get("after")
        start = ShardName.parse(after) if after else None
        limit = min(int(request.query.get("limit", 1000)), _MAX_NAMES)
        found = await _in_drive(slot, lambda drive: drive.names(start, limit))
        return _json([str(name) for name in found])

    async def _journal(self, request: web.Request) -> web.Response:
        slot = self._allowed(request, "journal", None)
        after = request.query.get("after", "")
        limit = min(int(request.query.get("limit", 1000)), _MAX_NAMES)
        found = await _in_drive(slot, lambda drive: drive.journal_names(after, limit))
        return _json([str(name) for name in found])

    # -- one shard ----------------------------------------------------------------------------

    async def _read(self, request: web.Request) -> web.Response:
        name = _shard(request)
        slot = self._allowed(request, "read", name)
        offset, length = int(request.query["offset"]), int(request.query["length"])
        if offset < 0 or not 0 <= length <= MAX_BYTES:
            raise InvalidArgument("offset or length")
        found = await _in_drive(slot, lambda drive: drive.read(name, offset, length))
        return web.Response(body=found, content_type="application/octet-stream")

    async def _stat(self, request: web.Request) -> web.Response:
        name = _shard(request)
        slot = self._allowed(request, "stat", name)
        found = await _in_drive(slot, lambda drive: drive.stat(name))
        return _json({"size": found.size_bytes, "trashed": found.trashed} if found else None)

    async def _trash(self, request: web.Request) -> web.Response:
        name = _shard(request)
        slot = self._allowed(request, "trash", name)
        return _json(await _in_drive(slot, lambda drive: drive.trash(name)))

    async def _restore(self, request: web.Request) -> web.Response:
        name = _shard(request)
        slot = self._allowed(request, "restore", name)
        return _json(await _in_drive(slot, lambda drive: drive.restore(name)))

    async def _report_error(self, request: web.Request) -> web.Response:
        name = _shard(request)
        slot = self._allowed(request, "report_error", name)
        number = int(request.query["errno"])
        return _json(await _in_drive(slot, lambda drive: drive.report_error(name, number)))

    # -- one file being written ---------------------------------------------------------------

    async def _create(self, request: web.Request) -> web.Response:
        name = _queried_name(request)
        slot = self._allowed(request, "create", name)
        purpose = as_purpose(request.query["purpose"])
        size = int(request.query["size"]) if "size" in request.query else None
        header = await request.read()
        place = _place(request)
        if place not in self._files:
            if len(self._files) >= _MAX_OPEN_FILES:
                raise NodeUnreachable("Too many files are open at this node.")
            file = await _in_drive(slot, lambda drive: drive.create(name, purpose, size, header))
            self._files[place] = (file, clock.monotonic())
        return _json(None)

    async def _write(self, request: web.Request) -> web.Response:
        slot, file = self._opened(request, "write")
        offset, sync = int(request.query["offset"]), request.query.get("sync") == "1"
        if request.content_length is None or offset < 0:
            raise InvalidArgument("Content-Length and offset are needed.")
        body = await request.read()
        if len(body) != request.content_length:
            raise InvalidArgument("The body is shorter than declared.")
        await _in_drive(slot, lambda drive: drive.write(file, offset, [body], sync=sync))
        return _json(None)

    async def _sync(self, request: web.Request) -> web.Response:
        slot, file = self._opened(request, "sync")
        await _in_drive(slot, lambda drive: drive.sync(file))
        return _json(None)

    async def _publish(self, request: web.Request) -> web.Response:
        # A repeated publish finds its file still there: only `abandon` and idleness drop it.
        slot, file = self._opened(request, "publish")
        replace = request.query.get("replace") == "1"
        await _in_drive(slot, lambda drive: drive.publish(file, replace=replace))
        return _json(None)

    async def _abandon(self, request: web.Request) -> web.Response:
        slot = self._allowed(request, "abandon", _queried_name(request))
        size = int(request.query["size"]) if "size" in request.query else None
        opened = self._files.pop(_place(request), None)
        if opened is not None and slot.uuid is not None:
            await self._discard(slot.uuid, opened[0], size)
        return _json(None)

    async def _discard(self, drive: UUID, file: OpenFile, size_bytes: int | None = None) -> None:
        """Forget a file; of a drive that is not there, nothing is left to do."""
        discard = partial(Drive.discard, file=file, size_bytes=size_bytes)
        with suppress(StoreError):
            await _in_drive(self._slots.find(drive), discard)

    # -- checks -------------------------------------------------------------------------------

    def _opened(self, request: web.Request, operation: str) -> tuple[Slot, OpenFile]:
        name = _queried_name(request)
        slot = self._allowed(request, operation, name)
        opened = self._files.get(_place(request))
        if opened is None or opened[0].name != name:
            raise ShardMissing("No such file is open here.", shard=name)
        self._files[_place(request)] = (opened[0], clock.monotonic())
        return slot, opened[0]

    def _allowed(self, request: web.Request, operation: str, name: FileName | None) -> Slot:
        drive = UUID(request.match_info["drive"])
        self._check(request, operation, str(drive), name)
        return self._slots.find(drive)

    def _check(
        self, request: web.Request, operation: str, subject: str, name: FileName | None
    ) -> None:
        given = request.headers.get("Authorization", "")
        if not given.startswith(_PREFIX):
            raise CapabilityRefused("A capability is needed.")
        capability.check(
            self._key.secret,
            given.removeprefix(_PREFIX),
            operation=operation,
            subject=subject,
            name=name,
            now=clock.timestamp(),
        )


async def _in_drive(slot: Slot, work: Callable[[Drive], Result]) -> Result:
    """Do blocking `work` in the drive's threads."""
    drive = slot.present()
    return await asyncio.get_running_loop().run_in_executor(slot.pool, work, drive)


@web.middleware
async def _errors_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except StoreError as error:
        return _error(type(error), str(error))
    except (ValueError, KeyError) as error:
        return _error(InvalidArgument, repr(error))
    except web.HTTPException as answer:
        return _json({"code": "InvalidArgument", "message": answer.reason}, answer.status)
    except Exception as error:
        log.exception("request failed", extra={"path": request.path})
        return _error(StoreError, repr(error))


def _error(kind: type[StoreError], message: str) -> web.Response:
    return _json({"code": kind.code, "message": message}, kind.status)


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


def _shard(request: web.Request) -> FileName:
    return parse_name(request.match_info["name"])


def _queried_name(request: web.Request) -> FileName:
    return parse_name(request.query["name"])


def _place(request: web.Request) -> tuple[UUID, str]:
    handle = request.match_info["handle"]
    if len(handle) != 32 or not set(handle) <= set("0123456789abcdef"):
        raise InvalidArgument("handle")
    return UUID(request.match_info["drive"]), handle
