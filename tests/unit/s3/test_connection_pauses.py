"""A connection that was paused reads on: fed by hand, without a socket."""

from __future__ import annotations

import asyncio
from typing import Any

from s3.connection import PIPELINED
from s3.connections import Connections
from s3.exchange import READ_AHEAD, Receive, Send

# Of the loop: many more than all the answers of one piece take.
TURNS = 1000


class Wire(asyncio.Transport):
    """A transport that keeps what is written and knows whether it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.reads = True
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed


async def count_bytes(_: dict[str, Any], receive: Receive, send: Send) -> None:
    """Answer with the number of bytes received."""
    size, more = 0, True
    while more:
        event = await receive()
        size += len(event.get("body", b""))
        more = event.get("more_body", False)
    text = b"%d" % size
    headers = [(b"content-length", b"%d" % len(text))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


def a_put(body: bytes) -> bytes:
    return b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


async def answers(*pieces: bytes) -> tuple[list[bytes], Wire]:
    """The bodies of the answers to these pieces, each fed while the connection reads."""
    connections = Connections(count_bytes, keep_alive_s=60.0, head_s=60.0, stall_s=60.0)
    connection, wire = connections(), Wire()
    connection.connection_made(wire)
    for piece in pieces:
        assert wire.reads
        connection.data_received(piece)
        for _ in range(TURNS):
            await asyncio.sleep(0)
    return [one.rpartition(b"\r\n")[2] for one in wire.written.split(b"HTTP/1.1 200")[1:]], wire


def test_a_request_follows_a_body_that_ended_while_much_of_it_was_kept() -> None:
    size = READ_AHEAD + 1

    bodies, wire = asyncio.run(answers(a_put(b"x" * size), a_put(b"abc")))

    assert bodies == [b"%d" % size, b"3"]
    assert not wire.is_closed


def test_a_body_that_comes_in_pieces_is_read_to_its_end() -> None:
    head, body = a_put(b"x" * 4 * READ_AHEAD)[:-READ_AHEAD], b"x" * READ_AHEAD

    bodies, _ = asyncio.run(answers(head, body, a_put(b"")))

    assert bodies == [b"%d" % (4 * READ_AHEAD), b"0"]


def test_more_is_read_once_pipelined_requests_have_been_answered() -> None:
    together = b"".join(a_put(b"x" * size) for size in range(PIPELINED + 1))

    bodies, _ = asyncio.run(answers(together, a_put(b"last")))

    assert bodies == [*(b"%d" % size for size in range(PIPELINED + 1)), b"4"]
