"""One request and its answer on a connection: what an ASGI application receives and sends.

Here: the body's pieces on their way in, `100 Continue`, the head and the pieces of the answer on
their way out. Not here: parsing, the order of answers, time-outs (s3.connection).

Promise: an answer without its end breaks the connection; head and body of a small one leave in one
write; a client that reads slowly slows the application.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Protocol

log = logging.getLogger("s3.exchange")

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

# Bytes of a body kept for an application that has not asked for them.
READ_AHEAD = 512 << 10

# Bytes of a refused request's path that the application is shown.
_SHOWN_BYTES = 1 << 10

_STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %s" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_COLON = b": "
_BODILESS = frozenset({204, 304})


def http_scope(
    version: str, method: bytes, path: bytes, query: bytes, headers: Headers, peer: object
) -> Message:
    """What ASGI says of a request before its body."""
    return {
        "type": "http",
        "http_version": version,
        "method": method.decode("ascii"),
        "scheme": "http",
        "raw_path": path,
        "query_string": query,
        "headers": headers,
        "client": peer,
    }


class Line(Protocol):
    """What an exchange needs of its connection."""

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    answering: Exchange | None
    # There while the client has not read enough of what was sent.
    unread: asyncio.Future[None] | None

    @property
    def is_stopping(self) -> bool: ...

    def over(self, exchange: Exchange) -> None: ...


class Exchange:
    """One request and its answer: ASGI's `receive` and `send`."""

    __slots__ = (
        "_chunks", "_connection", "_has_ended", "_head", "_is_chunked", "_is_lost", "_size",
        "_waiter", "_wants_continue", "is_whole", "keeps_alive", "scope", "task",
    )  # fmt: skip

    def __init__(
        self, connection: Line, scope: Message, keeps_alive: bool, wants_continue: bool
    ) -> None:
        self.scope = scope
        self.keeps_alive = keeps_alive
        self.is_whole = False
        self.task: asyncio.Task[None] | None = None
        self._wants_continue = wants_continue
        self._connection = connection
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._is_lost = False
        self._is_chunked = False
        self._has_ended = False
        self._head: bytes | None = None

    async def run(self, application: Application) -> None:
        """Let the application answer; what it leaves half done breaks the connection."""
        connection = self._connection
        try:
            await application(self.scope, self.receive, self.send)
        except Exception:
            log.exception("the application failed")
        if connection.answering is self:
            connection.transport.abort()
            connection.over(self)

    async def receive(self) -> Message:
        """The next piece of the body; afterwards, that the client has gone."""
        while True:
            if self._chunks:
                chunk = self._chunks.popleft()
                self._size -= len(chunk)
                if not self.is_whole and self._size <= READ_AHEAD:
                    self._connection.transport.resume_reading()
                self._has_ended = self.is_whole and not self._chunks
                return {"type": "http.request", "body": chunk, "more_body": not self._has_ended}
            if self._is_lost:
                return {"type": "http.disconnect"}
            if self.is_whole and not self._has_ended:
                self._has_ended = True
                return {"type": "http.request", "body": b"", "more_body": False}
            if self._wants_continue:
                self._wants_continue = False
                self._connection.transport.write(_CONTINUE)
            self._waiter = self._connection.loop.create_future()
            await self._waiter

    async def send(self, message: Message) -> None:
        """The head, then the body's pieces. What goes to a lost connection goes nowhere."""
        connection = self._connection
        if message["type"] == "http.response.start":
            self._head = self._formatted(message["status"], message["headers"])
            self._wants_continue = False
            return
        while connection.unread is not None:
            await connection.unread
        if connection.answering is not self or connection.transport.is_closing():
            return
        body: bytes = message.get("body", b"")
        if self._is_chunked:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if not message.get("more_body"):
                body += b"0\r\n\r\n"
        head, self._head = self._head, None
        if head is not None:
            body = head + body if len(body) <= READ_AHEAD else self._apart(head, body)
        if body:
            connection.transport.write(body)
        if not message.get("more_body"):
            connection.over(self)

    def take(self, chunk: bytes) -> int:
        """Keep a piece of the body; how many bytes are kept now."""
        self._chunks.append(chunk)
        self._size += len(chunk)
        self.wake()
        return self._size

    def lose(self) -> None:
        """No more of the request will come, unless all of it has."""
        self._is_lost = True
        self.wake()

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _apart(self, head: bytes, body: bytes) -> bytes:
        self._connection.transport.write(head)
        return body

    def _formatted(self, status: int, headers: Headers) -> bytes:
        first = _STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status
        head = b"\r\n".join([first, *map(_COLON.join, headers)])
        if b"\r\nconnection: close" in head:
            self.keeps_alive = False
        elif not self.keeps_alive or not self.is_whole or self._connection.is_stopping:
            # What is left of the body would be taken for the next request.
            head += b"\r\nconnection: close"
        if b"\r\ncontent-length: " not in head and self._has_body(status):
            self._is_chunked = self.scope["http_version"] == "1.1"
            if self._is_chunked:
                head += b"\r\ntransfer-encoding: chunked"
            else:
                self.keeps_alive = False  # the connection's end is the body's
        return head + b"\r\n\r\n"

    def _has_body(self, status: int) -> bool:
        return status not in _BODILESS and self.scope["method"] != "HEAD"


class Refusal(Exchange):
    """The answer to what could not be taken for a request; the last one of its connection.

    The scope holds what could be read of it, and `status`: why nothing more is.
    """

    __slots__ = ("_answers",)

    def __init__(
        self,
        connection: Line,
        answers: Application,
        status: int,
        method: bytes,
        url: bytes,
        headers: Headers,
        peer: object,
    ) -> None:
        shown = url.partition(b"?")[0][:_SHOWN_BYTES]
        scope = http_scope("1.1", method, shown, b"", headers, peer) | {"status": status}
        super().__init__(connection, scope, keeps_alive=False, wants_continue=False)
        self.is_whole = True
        self._answers = answers

    async def run(self, application: Application) -> None:
        """Let the application that answers refusals answer."""
        await super().run(self._answers)


async def bare_refusal(scope: Message, receive: Receive, send: Send) -> None:
    """What is said to it when nobody has more to say."""
    headers = [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": scope["status"], "headers": headers})
    await send({"type": "http.response.body", "body": b""})
