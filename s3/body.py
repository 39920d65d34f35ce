"""A request's body as it comes off the connection.

Here: pieces from ASGI, the declared length, idle time-outs, small bodies gathered, payload hashes
of documents. Not here: aws-chunked framing (s3.chunked), digests of object payloads (objects).

Promise: nothing is read ahead of the reader, so a slow store slows its client; fewer or more bytes
than declared raise `IncompleteBody`; the first read is what sends `100 Continue`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256
from time import monotonic
from typing import Any

from core.errors import IncompleteBody, RequestTimeout, XAmzContentSHA256Mismatch
from core.streams import EMPTY, SMALL, Body, Whole

Receive = Callable[[], Awaitable[dict[str, Any]]]


class Watch:
    """Ends requests whose body has sent nothing for too long: one timer for all of them."""

    def __init__(self, idle_s: float) -> None:
        self._idle_s = idle_s
        self._waiting: dict[Incoming, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, body: Incoming) -> None:
        self._waiting[body] = None
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._idle_s / 4, self._look)

    def leave(self, body: Incoming) -> None:
        self._waiting.pop(body, None)

    def _look(self) -> None:
        limit = monotonic() - self._idle_s
        for body in [body for body in self._waiting if body.since < limit]:
            body.expire()
        self._timer = None
        if self._waiting:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._idle_s / 4, self._look)


class Incoming:
    """The raw body of one request. `length` is what Content-Length declared, None when chunked."""

    __slots__ = (
        "_expired",
        "_left",
        "_over",
        "_receive",
        "_task",
        "_watch",
        "length",
        "received",
        "since",
        "trailer",
    )

    def __init__(self, receive: Receive, length: int | None, watch: Watch) -> None:
        self.length = length
        self.trailer: dict[str, str] = {}
        self.received = 0
        self.since = 0.0
        self._receive = receive
        self._left = length
        self._over = length == 0
        self._watch = watch
        self._task: asyncio.Task[Any] | None = None
        self._expired = False

    async def read(self) -> bytes:
        """The next piece as the network gave it; `b""` when the declared length has come."""
        while not self._over:
            event = await self._next_event()
            if event["type"] != "http.request":
                raise IncompleteBody()
            piece: bytes = event.get("body") or b""
            self.received += len(piece)
            if self._left is not None:
                self._left -= len(piece)
                if self._left < 0:
                    raise IncompleteBody("More bytes came than Content-Length announced.")
                # The HTTP layer ends the body there; asking it once more would only cost time.
                self._over = self._left == 0
            if not self._over and not event.get("more_body"):
                self._over = True
                if self._left:
                    raise IncompleteBody()
            if piece:
                return piece
        return b""

    def expire(self) -> None:
        """Called by the watch: give up waiting for the client."""
        self._expired = True
        if self._task is not None:
            self._task.cancel()

    async def _next_event(self) -> dict[str, Any]:
        self.since = monotonic()
        self._task = asyncio.current_task()
        self._watch.enter(self)
        try:
            return await self._receive()
        except asyncio.CancelledError:
            if self._expired and self._task is not None:
                self._task.uncancel()
                raise RequestTimeout() from None
            raise
        finally:
            self._task = None
            self._watch.leave(self)


class Hashed:
    """A body whose payload hash is checked when it ends (documents; object payloads are checked
    where they are digested anyway)."""

    __slots__ = ("_body", "_expected", "_hash", "length")

    def __init__(self, body: Body, expected: str) -> None:
        self._body = body
        self._expected = expected
        self._hash = sha256()
        self.length = body.length

    @property
    def trailer(self) -> dict[str, str]:
        return self._body.trailer

    async def read(self) -> bytes:
        piece = await self._body.read()
        if piece:
            self._hash.update(piece)
        else:
            check_payload(self._expected, self._hash.hexdigest())
        return piece


async def gathered(body: Body) -> Body:
    """The body as `Whole` when its length says it is small; itself otherwise."""
    if body.length is None or body.length > SMALL:
        return body
    first = await body.read()
    if not first:
        return Whole(b"", body.trailer)
    pieces = [first]
    while piece := await body.read():
        pieces.append(piece)
    return Whole(first if len(pieces) == 1 else b"".join(pieces), body.trailer)


async def unwanted(body: Incoming, expected: str) -> Body:
    """The body of an operation that takes none: read and compared with the hash signed for it.

    `XAmzContentSHA256Mismatch` before anything is done. More than `SMALL` bytes are not read for
    this: the operation, which is the same whatever they are, is done without having looked at them.
    """
    if body.length is not None and body.length > SMALL:
        return body
    digest = sha256()
    while piece := await body.read():
        digest.update(piece)
        if body.received > SMALL:
            return body
    check_payload(expected, digest.hexdigest())
    return EMPTY


def check_payload(expected: str, computed: str) -> None:
    """`XAmzContentSHA256Mismatch` unless the payload is what was signed."""
    if expected != computed:
        raise XAmzContentSHA256Mismatch(
            ClientComputedContentSHA256=expected, S3ComputedContentSHA256=computed
        )


async def drain(body: Incoming, limit: int) -> bool:
    """Read away what the client is still sending, so that it will read our answer.

    Whether the end was reached within `limit` bytes.
    """
    if body.length is not None and body.length - body.received > limit:
        return False
    stop = body.received + limit
    try:
        while body.received < stop:
            if not await body.read():
                return True
    except (IncompleteBody, RequestTimeout):
        return False
    return False
