"""A client at the other end of one connection of the gateway's, without a socket.

Here: the transport, what is said and answered, small applications. Not here: what a connection
must do (tests/unit/s3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from s3.connection import Connection
from s3.connections import Connections
from s3.exchange import Application, Message, bare_refusal

# Heads of requests; a PUT's wants the length of its body.
GET = b"GET /key?versions HTTP/1.1\r\nHost: store\r\n\r\n"
PUT = b"PUT /key HTTP/1.1\r\nHost: store\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"PUT /key HTTP/1.1\r\nHost: store\r\nTransfer-Encoding: chunked\r\n\r\n"


class Wire:
    """A transport that remembers what was done to it."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.is_reading = True
        # How: `told` (nothing more is said, what comes is still heard), `closed` or `aborted`.
        self.ended = ""

    @property
    def sent(self) -> bytes:
        return b"".join(self.writes)

    def get_extra_info(self, _: str) -> tuple[str, int]:
        return ("127.0.0.1", 5)

    def write(self, data: bytes) -> None:
        self.writes.append(bytes(data))

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def write_eof(self) -> None:
        self.ended = self.ended or "told"

    def is_closing(self) -> bool:
        return self.ended in ("closed", "aborted")

    def close(self) -> None:
        if not self.is_closing():
            self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"


class Peer:
    """A client at the other end of one connection to an application."""

    def __init__(self, application: Application, refusing: Application = bare_refusal) -> None:
        self.connections = Connections(
            application, keep_alive_s=60, head_s=30, stall_s=60, refusing=refusing
        )
        self.wire = Wire()
        self.server: Connection = self.connections()
        self.server.connection_made(self.wire)  # type: ignore[arg-type]

    async def say(self, *pieces: bytes) -> bytes:
        """Send the pieces; all that was answered until now."""
        for piece in pieces:
            self.server.data_received(piece)
            await turns()
        return self.wire.sent

    def leave(self) -> None:
        """The connection is gone, as the network tells the server: once."""
        if self.server in self.connections.open:
            self.server.connection_lost(None)


async def turns() -> None:
    """Let everything happen that can happen."""
    for _ in range(20):
        await asyncio.sleep(0)


async def body_of(receive: Callable[[], Awaitable[Message]]) -> bytes:
    body = b""
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return body + b"!gone"
        body += bytes(event["body"])
        if not event["more_body"]:
            return body


async def reply(send: Any, body: bytes, status: int = 200, **headers: bytes) -> None:
    fields = [(b"content-length", b"%d" % len(body))]
    fields += [(name.encode(), value) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Message, receive: Any, send: Any) -> None:
    await reply(send, await body_of(receive) or scope["raw_path"] + b"?" + scope["query_string"])
