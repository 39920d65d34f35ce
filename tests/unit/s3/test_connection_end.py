"""What ends a connection: a bad request, either side, silence, the end of the process."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from s3 import connection
from s3.exchange import Message
from tests.support.peer import CHUNKED, GET, PUT, Peer, body_of, echo, reply, turns


async def test_a_request_refused_before_its_body_ends_the_connection() -> None:
    async def refuse(scope: Message, receive: Any, send: Any) -> None:
        await reply(send, b"no", 403)

    peer = Peer(refuse)
    answers = await peer.say(PUT % 4)
    assert b"\r\nconnection: close\r\n" in answers
    assert peer.wire.ended == "told"


async def _refused() -> Peer:
    """One whose client still sends a body nobody wants, and has its answer."""

    async def refuse(scope: Message, receive: Any, send: Any) -> None:
        await reply(send, b"no", 403)

    peer = Peer(refuse)
    await peer.say(PUT % (1 << 30), b"some")
    assert peer.wire.sent.endswith(b"no")
    return peer


async def test_a_connection_that_has_ended_is_freed_without_the_collector() -> None:
    def connections() -> int:
        return sum(type(each) is connection.Connection for each in gc.get_objects())

    before = connections()
    gc.disable()
    try:
        for pieces in ((GET,), (PUT % 4, b"body"), (PUT % 4, b"bo"), (b"no request\r\n\r\n",)):
            peer = Peer(echo)
            await peer.say(*pieces)
            peer.leave()
            await turns()
            del peer
        assert connections() == before
    finally:
        gc.enable()


async def test_a_client_that_still_sends_is_heard_out() -> None:
    peer = await _refused()
    answered = peer.wire.sent
    assert await peer.say(b"more" * 1000, GET) == answered
    assert peer.wire.is_reading
    assert peer.wire.ended == "told"
    assert not peer.server.eof_received()  # the transport closes by itself


async def test_a_client_that_never_ends_is_not_heard_out_for_ever() -> None:
    peer = await _refused()
    now = asyncio.get_running_loop().time()
    peer.server.look(now + 29, keep_alive_s=60, head_s=30, stall_s=60)
    assert peer.wire.ended == "told"
    peer.server.look(now + 31, keep_alive_s=60, head_s=30, stall_s=60)
    assert peer.wire.ended == "closed"


async def test_stopping_hears_nobody_out() -> None:
    peer = await _refused()
    stopping = asyncio.create_task(peer.connections.stop())
    await turns()
    assert peer.wire.ended == "closed"
    peer.leave()
    await stopping


@pytest.mark.parametrize(
    "bad",
    [
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : store\r\n\r\n",
        b"GET / HTTP/1.1\nHost: store\n\n",
        b"PUT / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"PUT / HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n",
        b"PUT / HTTP/1.1\r\nContent-Length: +4\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: store\r\n folded\r\n\r\n",
    ],
)
async def test_doubtful_framing_is_refused_and_the_connection_closed(
    peer: Peer, bad: bytes
) -> None:
    answers = await peer.say(bad + GET)
    assert answers == b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    assert peer.wire.ended == "told"


async def test_what_follows_a_bad_request_is_never_served(peer: Peer) -> None:
    await peer.say(GET, b"NONSENSE\r\n\r\n", GET)
    assert peer.wire.sent.count(b"HTTP/1.1 200") == 1
    assert peer.wire.ended == "told"


async def test_a_bad_chunk_loses_the_body_and_the_connection(peer: Peer) -> None:
    answers = await peer.say(CHUNKED, b"4\r\nbody\r\n", b"zz\r\n")
    assert answers.endswith(b"body!gone")
    assert peer.wire.ended == "told"


async def test_an_endless_head_is_refused(peer: Peer) -> None:
    start = b"GET / HTTP/1.1\r\nHost: store\r\nX: "
    answers = await peer.say(start, bytes([97]) * (connection.HEAD_BYTES + 1))
    assert answers.startswith(b"HTTP/1.1 431 ")
    assert peer.wire.ended == "told"


async def test_too_many_fields_are_refused(peer: Peer) -> None:
    fields = b"".join(b"x-%d: y\r\n" % number for number in range(connection.HEAD_FIELDS + 1))
    answers = await peer.say(b"GET / HTTP/1.1\r\n" + fields + b"\r\n")
    assert answers.startswith(b"HTTP/1.1 431 ")
    assert peer.wire.ended == "told"


async def test_an_endless_chunk_extension_is_refused(peer: Peer) -> None:
    await peer.say(CHUNKED, b"4;", bytes([97]) * (connection.HEAD_BYTES + 1))
    assert peer.wire.sent.endswith(b"!gone")
    assert peer.wire.ended == "told"


async def test_a_client_that_only_stopped_sending_still_gets_its_answer() -> None:
    gate = asyncio.Event()

    async def later(scope: Message, receive: Any, send: Any) -> None:
        await gate.wait()
        await reply(send, await body_of(receive))

    peer = Peer(later)
    await peer.say(PUT % 4 + b"body")
    assert peer.server.eof_received()
    gate.set()
    await turns()
    assert peer.wire.sent.endswith(b"body")
    assert peer.wire.ended == "closed"


async def test_a_body_cut_short_is_told_apart_from_its_end(peer: Peer) -> None:
    await peer.say(PUT % 8 + b"half")
    assert peer.server.eof_received()
    await turns()
    assert peer.wire.sent.endswith(b"half!gone")


async def test_an_idle_connection_ends_with_its_client(peer: Peer) -> None:
    await peer.say(GET)
    assert not peer.server.eof_received()


async def test_the_application_hears_of_a_lost_client() -> None:
    heard: list[str] = []

    async def listen(scope: Message, receive: Any, send: Any) -> None:
        await body_of(receive)
        heard.append((await receive())["type"])

    peer = Peer(listen)
    await peer.say(GET)
    assert heard == []
    peer.leave()
    await turns()
    assert heard == ["http.disconnect"]


async def test_an_answer_left_half_done_breaks_the_connection() -> None:
    async def half(scope: Message, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    peer = Peer(half)
    await peer.say(GET)
    assert peer.wire.sent.endswith(b"half")
    assert peer.wire.ended == "aborted"


async def test_an_application_that_fails_breaks_the_connection() -> None:
    async def fail(scope: Message, receive: Any, send: Any) -> None:
        raise RuntimeError("unforeseen")

    peer = Peer(fail)
    await peer.say(GET)
    assert peer.wire.ended == "aborted"


async def test_an_old_client_gets_one_answer(peer: Peer) -> None:
    answers = await peer.say(b"GET /key HTTP/1.0\r\nHost: store\r\n\r\n")
    assert b"connection: close" in answers
    assert peer.wire.ended == "closed"


@pytest.mark.parametrize(
    ("idle_s", "said", "ended"),
    [(31, b"", ""), (61, b"", "closed"), (29, GET[:9], ""), (31, GET[:9], "closed")],
)
async def test_silence_is_borne_for_a_while(
    peer: Peer, idle_s: float, said: bytes, ended: str
) -> None:
    await peer.say(GET, said)
    now = asyncio.get_running_loop().time() + idle_s
    peer.server.look(now, keep_alive_s=60, head_s=30, stall_s=60)
    assert peer.wire.ended == ended


async def test_a_client_that_does_not_read_is_cut_off(peer: Peer) -> None:
    peer.server.pause_writing()
    now = asyncio.get_running_loop().time()
    peer.server.look(now + 59, keep_alive_s=1, head_s=1, stall_s=60)
    assert not peer.wire.ended
    peer.server.look(now + 61, keep_alive_s=1, head_s=1, stall_s=60)
    assert peer.wire.ended == "aborted"


async def test_stopping_waits_for_what_is_under_way() -> None:
    gate = asyncio.Event()

    async def slow(scope: Message, receive: Any, send: Any) -> None:
        await gate.wait()
        await reply(send, b"last")

    peer = Peer(slow)
    await peer.say(GET)
    stopping = asyncio.create_task(peer.connections.stop())
    await turns()
    assert not peer.wire.ended
    gate.set()
    await turns()
    assert b"connection: close" in peer.wire.sent
    assert peer.wire.sent.endswith(b"last")
    assert peer.wire.ended == "closed"
    peer.leave()
    await stopping


async def test_stopping_closes_what_is_idle(peer: Peer) -> None:
    await peer.say(GET)
    stopping = asyncio.create_task(peer.connections.stop())
    await turns()
    assert peer.wire.ended == "closed"
    peer.leave()
    await stopping
