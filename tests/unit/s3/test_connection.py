"""A connection: what comes off it and what goes onto it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from s3 import connection
from s3.exchange import READ_AHEAD, Message
from tests.support.peer import CHUNKED, GET, PUT, Peer, body_of, reply, turns


async def test_a_small_answer_leaves_in_one_write(peer: Peer) -> None:
    await peer.say(GET)
    assert peer.wire.writes == [b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n/key?versions"]
    assert not peer.wire.ended


async def test_requests_follow_each_other_on_one_connection(peer: Peer) -> None:
    answers = await peer.say(GET, PUT % 4 + b"body", GET)
    assert answers.count(b"HTTP/1.1 200") == 3
    assert answers.count(b"\r\n\r\nbody") == 1


async def test_pipelined_requests_are_answered_in_their_order() -> None:
    gates = [asyncio.Event() for _ in range(3)]

    async def slow(scope: Message, receive: Any, send: Any) -> None:
        number = int(scope["raw_path"][1:])
        await gates[number].wait()
        await reply(send, b"answer %d" % number)

    peer = Peer(slow)
    heads = [b"GET /%d HTTP/1.1\r\nHost: store\r\n\r\n" % number for number in range(3)]
    await peer.say(b"".join(heads))
    gates[2].set()
    gates[1].set()
    await turns()
    assert peer.wire.sent == b""
    gates[0].set()
    await turns()
    answers = peer.wire.sent
    assert [answers.index(b"answer %d" % number) for number in range(3)] == sorted(
        answers.index(b"answer %d" % number) for number in range(3)
    )


async def test_many_pipelined_requests_wait_on_the_network(peer: Peer) -> None:
    gate = asyncio.Event()

    async def slow(scope: Message, receive: Any, send: Any) -> None:
        await gate.wait()
        await reply(send, b"")

    peer = Peer(slow)
    await peer.say(GET * (connection.PIPELINED + 1))
    assert not peer.wire.is_reading
    gate.set()
    for _ in range(connection.PIPELINED):
        await turns()
    assert peer.wire.is_reading
    assert peer.wire.sent.count(b"HTTP/1.1 200") == connection.PIPELINED + 1


async def test_a_head_may_come_in_any_pieces(peer: Peer) -> None:
    request = PUT % 4 + b"body"
    answers = await peer.say(*(request[at : at + 1] for at in range(len(request))))
    assert answers.endswith(b"\r\n\r\nbody")


async def test_a_chunked_body_is_unwrapped(peer: Peer) -> None:
    answers = await peer.say(CHUNKED, b"4\r\nbody\r\n", b"2\r\n--\r\n0\r\n\r\n")
    assert answers.endswith(b"\r\n\r\nbody--")


async def test_an_empty_chunked_body_ends_when_its_last_chunk_comes(peer: Peer) -> None:
    assert await peer.say(CHUNKED) == b""
    assert (await peer.say(b"0\r\n\r\n")).endswith(b"/key?")


async def test_trailers_of_http_are_no_headers_of_the_request(peer: Peer) -> None:
    seen: list[Any] = []

    async def note(scope: Message, receive: Any, send: Any) -> None:
        await body_of(receive)
        seen.extend(name for name, _ in scope["headers"])
        await reply(send, b"")

    peer = Peer(note)
    await peer.say(CHUNKED, b"0\r\nAuthorization: x\r\n\r\n")
    assert seen == [b"host", b"transfer-encoding"]


async def test_continue_is_said_when_the_body_is_asked_for() -> None:
    gate = asyncio.Event()

    async def later(scope: Message, receive: Any, send: Any) -> None:
        await gate.wait()
        await reply(send, await body_of(receive))

    peer = Peer(later)
    head = PUT % 4
    await peer.say(head.replace(b"\r\n\r\n", b"\r\nExpect: 100-Continue\r\n\r\n"))
    assert peer.wire.sent == b""
    gate.set()
    await turns()
    assert peer.wire.sent == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert (await peer.say(b"body")).endswith(b"body")
    assert peer.wire.sent.count(b"100 Continue") == 1


async def test_no_more_of_a_body_is_read_than_is_asked_for() -> None:
    gate = asyncio.Event()

    async def later(scope: Message, receive: Any, send: Any) -> None:
        await gate.wait()
        await reply(send, b"%d" % len(await body_of(receive)))

    peer = Peer(later)
    size = READ_AHEAD + 2
    await peer.say(PUT % size, bytes(READ_AHEAD), b"x")
    assert not peer.wire.is_reading
    gate.set()
    await turns()
    assert peer.wire.is_reading
    assert (await peer.say(b"y")).endswith(b"%d" % size)


async def test_a_slow_reader_slows_the_answer() -> None:
    written: list[int] = []

    async def stream(scope: Message, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"4")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for number in range(4):
            await send({"type": "http.response.body", "body": b"x", "more_body": number < 3})
            written.append(number)

    peer = Peer(stream)
    peer.server.data_received(GET)
    peer.server.pause_writing()
    await turns()
    assert written == []
    peer.server.resume_writing()
    await turns()
    assert written == [0, 1, 2, 3]


async def test_an_answer_of_unknown_length_is_chunked() -> None:
    async def stream(scope: Message, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"piece", "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    peer = Peer(stream)
    answers = await peer.say(GET)
    assert b"transfer-encoding: chunked" in answers
    assert answers.endswith(b"\r\n\r\n5\r\npiece\r\n0\r\n\r\n")


async def test_an_offer_of_another_protocol_is_not_taken_up(peer: Peer) -> None:
    offer = b"GET /one HTTP/1.1\r\nHost: store\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    answers = await peer.say(offer + GET)
    assert answers.count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
async def test_a_body_behind_an_offer_of_another_protocol_is_its_requests(
    is_chunked: bool, size: int
) -> None:
    read: list[tuple[str, bytes]] = []

    async def take(scope: Message, receive: Any, send: Any) -> None:
        read.append((scope["method"], await body_of(receive)))
        await reply(send, b"")

    hidden = b"5\r\nfirst\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(GET), GET)
    body, framing = b"first" + GET, b"Transfer-Encoding: chunked"
    if not is_chunked:
        hidden, framing = body, b"Content-Length: %d" % len(body)
    offer = b"PUT /one HTTP/1.1\r\nHost: store\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    offer += b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n" + framing + b"\r\n\r\n" + hidden
    sent = offer + offer + GET
    peer = Peer(take)
    answers = await peer.say(*(sent[at : at + size] for at in range(0, len(sent), size)))
    assert answers.count(b"HTTP/1.1 200") == 3
    assert read == [("PUT", body), ("PUT", body), ("GET", b"")]
    assert not peer.wire.ended


async def test_a_whole_url_is_as_good_as_its_path(peer: Peer) -> None:
    answers = await peer.say(b"GET http://store/key?versions HTTP/1.1\r\nHost: store\r\n\r\n")
    assert answers.endswith(b"/key?versions")
