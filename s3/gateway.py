"""The gateway: a plain ASGI application that carries one S3 request from its head to its last byte.

Here: parse, match, gate, body, handler, answer; what every request is counted and logged as. Not
here: each of these steps (s3.target, s3.operations, s3.gate, s3.framing, s3.render), start and stop
of a worker (s3.application).

Promise: every request gets one answer and one line in the access log; a body is read only after the
gate has admitted the request; an answer that fails half-way breaks the connection, so that no
client takes a part for the whole.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from time import monotonic
from typing import Any

from core import metrics
from core.config import Config
from core.errors import (
    BadRequest,
    InvalidRequest,
    RequestHeaderSectionTooLarge,
    SlowDown,
    StoreError,
)
from objects.store import Store
from s3 import target
from s3.access_log import AccessLog
from s3.body import Incoming, Receive, Watch, drain
from s3.framing import Framing
from s3.gate import Gate, let_go
from s3.handlers import absent
from s3.health import Readiness
from s3.operations import Level, Operation, match
from s3.render import Envelope, Identity, error_reply, finished, unexpected
from s3.wire import Call, Header, Reply, Stream

log = logging.getLogger("s3.gateway")

Scope = dict[str, Any]
Find = Callable[[str, Level, dict[str, str], dict[str, str]], Operation]
Send = Callable[[dict[str, Any]], Awaitable[None]]

# What an error's answer reads away first, so that a client still sending gets to see it.
_DRAIN_BYTES = 16 << 20
# Two of these name one request differently to two readers.
_ONCE = frozenset({"host", "content-length", "transfer-encoding"})
_NOT_REPEATED: frozenset[str] = frozenset()
_TEXT: Header = (b"content-type", b"text/plain")
_CLOSE: Header = (b"connection", b"close")
_COUNTS = {
    "GetObject": metrics.get_objects,
    "PutObject": metrics.put_objects,
    "HeadObject": metrics.head_objects,
    "DeleteObject": metrics.delete_objects,
    "ListObjects": metrics.list_objects,
    "ListObjectsV2": metrics.list_objects,
    "ListObjectVersions": metrics.list_objects,
}


class Gateway:
    """One worker's application over an open store (s3.application opens one)."""

    def __init__(
        self,
        settings: Config,
        store: Store,
        access_log: AccessLog | None = None,
        find: Find = match,
    ) -> None:
        self._store = store
        self._find = find
        self._hosts = target.Hosts(settings.s3.domains)
        self._gate = Gate(settings.s3)
        self._framing = Framing(
            settings.limits, Watch(settings.s3.idle_timeout_s), settings.home / "tmp"
        )
        self._identity = Identity()
        self._envelope = Envelope(self._identity)
        self._log = access_log
        self._readiness = Readiness(store, settings.redis.url)
        self._inflight_cap = settings.s3.inflight
        self._header_bytes = settings.limits.header_bytes
        self._retry_after_s = settings.s3.retry_after_s
        self._inflight = 0

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        call = _new_call(scope, self._identity.next())
        if call.raw_path in _PROBES and self._is_probe(call, scope):
            await self._answer_probe(call, send)
            return
        self._inflight += 1
        metrics.in_flight.set(self._inflight)
        error: StoreError | None = None
        incoming: Incoming | None = None
        status = _BROKEN
        try:
            try:
                repeated = _read_headers(call, self._header_bytes)
                if self._inflight > self._inflight_cap:
                    metrics.rate_rejected.add()
                    raise SlowDown()
                metrics.rate_accepted.add()
                self._aim(call, scope)
                await self._gate.admit(call, self._store, repeated)
                incoming = self._framing.incoming(call, receive)
                call.body = await self._framing.payload(call, incoming, call.operation.body)
                reply = await call.operation.handler(call, self._store)
                headers = self._headers(call, reply, incoming)
            except Exception as why:
                error = unexpected(why)
                if error is not why:
                    log.exception("request failed", extra={"request_id": call.request_id})
                reply = await self._error_reply(call, error, incoming, receive)
                headers = self._headers(call, reply, incoming)
            await self._send(call, reply, headers, receive, send)
            status = reply.status
        except _ClientGone:
            status = _GONE
        except StoreError as why:
            # The answer had begun. Returning without its end breaks the connection.
            error = why
            log.warning("answer broken off", extra={"request_id": call.request_id, "why": str(why)})
        finally:
            if incoming is not None:
                call.bytes_in = incoming.received
                metrics.upload_bytes.add(by=incoming.received)
            self._inflight -= 1
            metrics.in_flight.set(self._inflight)
            let_go(call)
            self._note(call, status, error)
            error = None  # its traceback holds this frame, which would hold it

    async def refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is no HTTP, or too much of it: the scope's `status` is 400 or 431."""
        call = _new_call(scope, self._identity.next())
        call.headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in call.raw_headers
        }
        error: StoreError = BadRequest("An error occurred when parsing the HTTP request.")
        if scope["status"] == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
            error = RequestHeaderSectionTooLarge(max_header_size_allowed=self._header_bytes)
        reply = self._error(call, error)
        headers = self._headers(call, reply)
        await self._send(call, reply, headers, receive, send)
        self._note(call, reply.status, error)

    def close(self) -> Awaitable[None]:
        return self._readiness.close()

    def _is_probe(self, call: Call, scope: Scope) -> bool:
        """Whether this asks for the gateway's health, not for an object in a bucket's host."""
        hosts = [value.decode("latin-1") for name, value in call.raw_headers if name == b"host"]
        if len(hosts) > 1 or (not hosts and scope["http_version"] != "1.0"):
            return False  # and no proper request either
        return call.method in ("GET", "HEAD") and not any(map(self._hosts.bucket, hosts))

    def _aim(self, call: Call, scope: Scope) -> None:
        """Find out what the call is about, and which operation it means."""
        host = call.headers.get("host")
        if host is None:
            host = _no_host(scope)
        call.host = host
        call.query = target.parse_query(call.raw_query)
        call.bucket, call.key = target.split_path(call.raw_path, self._hosts.bucket(host))
        level: Level = "object" if call.key is not None else "bucket" if call.bucket else "service"
        call.operation = self._find(call.method, level, call.query, call.headers)

    def _error(self, call: Call, error: StoreError) -> Reply:
        metrics.errors.add((error.code, call.operation.name))
        return error_reply(
            error,
            resource=call.resource,
            request_id=call.request_id,
            host_id=self._identity.host_id,
            retry_after_s=self._retry_after_s,
        )

    async def _error_reply(
        self, call: Call, error: StoreError, incoming: Incoming | None, receive: Receive
    ) -> Reply:
        reply = self._error(call, error)
        if "expect" not in call.headers or incoming is not None:
            try:
                incoming = incoming or self._framing.incoming(call, receive)
            except StoreError:
                incoming = None
            if incoming is not None and not await drain(incoming, _DRAIN_BYTES):
                reply.headers.append(_CLOSE)
        return reply

    def _headers(self, call: Call, reply: Reply, incoming: Incoming | None = None) -> list[Header]:
        # No 100 Continue went out when nothing was asked for, or the body is empty. awscli's
        # botocore takes this answer's status for that of every later one on the connection, an
        # error's too: there must be none.
        if "expect" in call.headers and not (incoming is not None and incoming.received):
            reply.headers = [*(one for one in reply.headers if one != _CLOSE), _CLOSE]
        return finished(self._envelope.headers(call.request_id), reply, call.method)

    async def _send(
        self, call: Call, reply: Reply, headers: list[Header], receive: Receive, send: Send
    ) -> None:
        body = reply.body
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        if body is None or call.method == "HEAD":
            body = b""
        if type(body) is bytes:
            call.bytes_out = len(body)
            await send({"type": "http.response.body", "body": body, "more_body": False})
        else:
            assert not isinstance(body, bytes)
            await self._stream(call, body, reply.length, receive, send)

    async def _stream(
        self, call: Call, body: Stream, length: int | None, receive: Receive, send: Send
    ) -> None:
        """Send piece by piece, until the end or until the client has gone."""
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            while piece := await body.next():
                if gone.done():
                    raise _ClientGone
                call.bytes_out += len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            if length is not None and call.bytes_out != length:
                raise AssertionError(f"{call.bytes_out} bytes of {length} were there to send")
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()
            await body.close()

    def _note(self, call: Call, status: int, error: StoreError | None) -> None:
        """Count and log a finished request."""
        duration_s = monotonic() - call.started
        operation = call.operation.name
        metrics.requests.add((call.method, operation, str(status)))
        metrics.duration.observe(duration_s, (call.method, operation))
        metrics.download_bytes.add(by=call.bytes_out)
        if status < 300 and operation in _COUNTS:
            _COUNTS[operation].add()
        if self._log is not None:
            self._log.add(call, status, duration_s, error)

    async def _answer_probe(self, call: Call, send: Send) -> None:
        """`/health` and `/ready`."""
        problems: list[str] = []
        text = b"OK"
        if call.raw_path == b"/ready":
            problems = await self._readiness.problems()
            text = "; ".join(problems).encode() if problems else b"READY"
        reply = Reply(503 if problems else 200, [_TEXT, (b"cache-control", b"no-store")], text)
        headers = self._headers(call, reply)
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        body = b"" if call.method == "HEAD" else text
        await send({"type": "http.response.body", "body": body, "more_body": False})


# Statuses of the log only: the client went away; the answer was broken off.
_GONE, _BROKEN = 499, 599
_UNMATCHED = Operation(
    name="Unknown",
    method="",
    level="service",
    query=(),
    optional=(),
    header="",
    action="",
    want="none",
    body="none",
    handler=absent.not_implemented,
    public=False,
)
_PROBES = frozenset({b"/health", b"/ready"})


class _ClientGone(Exception):
    """The client closed the connection while its answer was being sent."""


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _new_call(scope: Scope, request_id: str) -> Call:
    call = Call()
    call.started = monotonic()
    call.request_id = request_id
    call.method = scope["method"]
    call.raw_path = scope["raw_path"]
    call.raw_query = scope["query_string"]
    call.raw_headers = scope["headers"]
    call.headers = {}
    call.query = {}
    call.bucket = call.key = call.caller = call.signature = None
    call.operation = _UNMATCHED
    call.host = ""
    call.bytes_in = call.bytes_out = 0
    client = scope.get("client")
    call.peer = client[0] if client else ""
    call.secure = scope["scheme"] == "https"
    return call


def _no_host(scope: Scope) -> str:
    """The host of a request that names none, which HTTP/1.0 need not."""
    if scope["http_version"] != "1.0":
        raise InvalidRequest("Missing required header for this request: Host")
    return ""


def _read_headers(call: Call, limit: int) -> frozenset[str]:
    """Fill in `headers`; the names of those that came more than once.

    Names of our own are for our own machines: from outside they are dropped.
    """
    headers = call.headers
    repeated: set[str] | None = None
    size = 0
    for raw_name, raw_value in call.raw_headers:
        name = raw_name.decode("latin-1")
        size += len(raw_value)
        if name in headers:
            repeated = repeated or set()
            repeated.add(name)
            headers[name] = f"{headers[name]},{raw_value.decode('latin-1')}"
        elif not name.startswith("x-objstore-"):
            headers[name] = raw_value.decode("latin-1")
    if size > limit:
        raise RequestHeaderSectionTooLarge(max_header_size_allowed=limit)
    if repeated is None:
        return _NOT_REPEATED
    if not repeated.isdisjoint(_ONCE):
        raise InvalidRequest("A header that may come once came more than once.")
    return frozenset(repeated)
