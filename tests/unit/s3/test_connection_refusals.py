"""What comes off a connection and is no request: what is said to it, when, and what is known."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from s3 import connection
from s3.exchange import Message
from tests.support.peer import Peer, body_of, echo, reply, turns

GET = b"GET /key HTTP/1.1\r\nHost: store\r\n\r\n"
AFTER_HOST = b"GET /key HTTP/1.1\r\nHost: store\r\n"


class Refusing:
    """Answers refusals, and remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Message] = []

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        self.told.append(scope)
        await reply(send, b"refused", scope["status"])


async def refused(*pieces: bytes) -> Message:
    """What is told of the one request among these that is none."""
    refusing = Refusing()
    peer = Peer(echo, refusing)
    answers = await peer.say(*pieces)
    [told] = refusing.told
    assert answers.endswith(b"connection: close\r\n\r\nrefused")
    assert peer.wire.ended == "told"
    return told


@pytest.mark.parametrize(
    ("bad", "method", "path"),
    [
        (b"\x16\x03\x01\x00", "", b""),
        (b"NONSENSE\r\n\r\n", "", b""),
        (b"HEA", "", b""),
        (b"HEAD /\x01", "HEAD", b""),
        (b"HEAD /k ey HTTP/1.1\r\n", "HEAD", b"/k"),
        (b"HEAD /key?secret HTTP/3.0\r\n", "HEAD", b"/key"),
        (b"PUT /key HTTP/1.1\r\nHost : store\r\n", "PUT", b"/key"),
        (b"GET http://[store/key HTTP/1.1\r\nHost: store\r\n\r\n", "GET", b"http://[store/key"),
    ],
)
async def test_what_was_understood_is_told(bad: bytes, method: str, path: bytes) -> None:
    told = await refused(bad, b"\x01")
    assert (told["status"], told["method"], told["raw_path"]) == (400, method, path)
    assert told["query_string"] == b""


async def test_nothing_is_told_of_an_earlier_request() -> None:
    told = await refused(AFTER_HOST + b"X: y\r\n\r\n", b"\x01")
    assert (told["method"], told["raw_path"], told["headers"]) == ("", b"", [])


async def test_the_fields_that_came_are_told() -> None:
    told = await refused(AFTER_HOST + b"X: y\r\n: z\r\n")
    assert (b"host", b"store") in told["headers"]
    assert told["client"] == ("127.0.0.1", 5)


async def test_too_much_is_told_apart_from_nonsense() -> None:
    fields = b"".join(b"x-%d: y\r\n" % number for number in range(connection.HEAD_FIELDS + 1))
    assert (await refused(AFTER_HOST + fields))["status"] == 431
    endless = bytes([97]) * connection.HEAD_BYTES
    assert (await refused(AFTER_HOST + b"X: ", endless))["status"] == 431


async def test_little_is_told_of_an_endless_target() -> None:
    told = await refused(b"GET /" + bytes([97]) * connection.HEAD_BYTES)
    assert told["status"] == 431
    assert len(told["raw_path"]) == 1024


async def test_a_refusal_waits_for_the_answers_before_it() -> None:
    gate = asyncio.Event()

    async def slow(scope: Message, receive: Any, send: Any) -> None:
        await gate.wait()
        await reply(send, b"served")

    peer = Peer(slow, Refusing())
    assert await peer.say(GET + GET + b"NONSENSE\r\n\r\n" + GET) == b""
    gate.set()
    await turns()
    await turns()
    answers = peer.wire.sent
    assert (answers.count(b"served"), answers.count(b"refused")) == (2, 1)
    assert answers.endswith(b"refused")
    assert peer.wire.ended == "told"


async def test_a_bad_body_is_for_its_request_to_answer() -> None:
    refusing = Refusing()

    async def read(scope: Message, receive: Any, send: Any) -> None:
        await reply(send, await body_of(receive), 400)

    peer = Peer(read, refusing)
    head = b"PUT /key HTTP/1.1\r\nHost: store\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert (await peer.say(head, b"zz\r\n")).count(b"HTTP/1.1 400") == 1
    assert refusing.told == []
    assert peer.wire.ended == "told"


@pytest.mark.parametrize("framing", [b"Content-Length: %d", b"Transfer-Encoding: chunked"])
async def test_a_body_behind_a_connect_is_no_request(framing: bytes) -> None:
    size = b"%x\r\n" % len(GET)
    hidden = size + GET + b"\r\n0\r\n\r\n" if b"chunked" in framing else GET
    lines = framing.replace(b"%d", b"%d" % len(GET)) + b"\r\n"
    told = await refused(b"CONNECT /key HTTP/1.1\r\nHost: store\r\n" + lines + b"\r\n" + hidden)
    assert (told["status"], told["method"], told["raw_path"]) == (400, "CONNECT", b"/key")


async def test_an_offer_of_another_protocol_may_say_that_it_has_no_body() -> None:
    peer = Peer(echo)
    offer = b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n"
    assert (await peer.say(AFTER_HOST + offer + GET)).count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize("offer", [b"", b"Connection: Upgrade\r\nUpgrade: h2c\r\n"])
async def test_a_flood_of_pipelined_requests_is_cut_off(offer: bytes) -> None:
    refusing = Refusing()
    peer = Peer(echo, refusing)
    peer.server.data_received((AFTER_HOST + offer + b"\r\n") * 2000)
    for _ in range(connection.PIPELINED_MOST):
        await turns()
    assert peer.wire.sent.count(b"HTTP/1.1 200") == connection.PIPELINED_MOST + 1
    assert peer.wire.sent.endswith(b"refused")
    assert len(refusing.told) == 1


async def test_a_client_that_has_gone_is_told_nothing() -> None:
    peer = Peer(echo, Refusing())
    peer.server.data_received(b"NONSENSE\r\n\r\n")
    peer.wire.close()
    peer.leave()
    await turns()
    assert peer.wire.sent == b""
