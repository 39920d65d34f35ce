"""Targets with raw bytes beyond ASCII are served as they were sent; nothing else is lenient."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from s3 import connection
from s3.exchange import Message
from tests.support.peer import Peer, echo, reply, turns

RAW = "GET /bücher/€?prefix=ä HTTP/1.1\r\nHost: store\r\n\r\n".encode()
SENT = "/bücher/€?prefix=ä".encode()
PLAIN = b"GET /plain HTTP/1.1\r\nHost: store\r\n\r\n"


def bodies(answers: bytes) -> list[bytes]:
    return [one.partition(b"\r\n\r\n")[2] for one in answers.split(b"HTTP/1.1 200 OK\r\n")[1:]]


async def test_a_raw_target_is_what_was_sent(peer: Peer) -> None:
    assert bodies(await peer.say(RAW)) == [SENT]
    assert not peer.wire.ended


async def test_a_raw_target_may_come_in_any_pieces(peer: Peer) -> None:
    for size in range(1, 9):
        pieces = [RAW[at : at + size] for at in range(0, len(RAW), size)]
        assert bodies(await peer.say(*pieces))[-1] == SENT
    assert not peer.wire.ended


async def test_a_raw_target_may_follow_and_precede_others(peer: Peer) -> None:
    answers = await peer.say(PLAIN, RAW + PLAIN, b"\r\n" + RAW, RAW, PLAIN)
    assert bodies(answers) == [b"/plain?", SENT, b"/plain?", SENT, SENT, b"/plain?"]


async def test_a_body_follows_a_raw_target(peer: Peer) -> None:
    head = "PUT /ä HTTP/1.1\r\nHost: store\r\nContent-Length: 4\r\n\r\n".encode()
    assert bodies(await peer.say(head, b"\xffody")) == [b"\xffody"]


async def test_an_offer_of_another_protocol_may_have_a_raw_target(peer: Peer) -> None:
    offer = RAW.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    assert bodies(await peer.say(offer + PLAIN)) == [SENT, b"/plain?"]


@pytest.mark.parametrize(
    "line",
    [
        b"GET /\xc3\xa9\x00 HTTP/1.1",
        b"GET /\xc3\xa9\x7f HTTP/1.1",
        b"GET /\xc3\xa9 \xc3\xa9 HTTP/1.1",
        b"GET /\xc3\xa9\x00\xc3\xa9 HTTP/1.1",
        b"GET /\xc3\xa9\tHTTP/1.1",
        b"GET /\xc3\xa9 HTTP/3.0",
        b"GET \xc3\xa9 HTTP/1.1",
        b"GET http://st\xc3\xb6re/ HTTP/1.1",
        b"GET http://store/\xc3\xa9 HTTP/1.1",
        b"G\xc3\x89T / HTTP/1.1",
        b"G\xc3\x89T /\xc3\xa9 HTTP/1.1",
        b"NONSENSE /\xc3\xa9 HTTP/1.1",
    ],
)
async def test_other_faults_of_the_line_are_refused(peer: Peer, line: bytes) -> None:
    answers = await peer.say(line + b"\r\nHost: store\r\n\r\n" + PLAIN)
    assert answers.startswith(b"HTTP/1.1 400 ")
    assert answers.count(b"HTTP/1.1") == 1
    assert peer.wire.ended == "told"


async def test_other_faults_of_the_line_are_refused_in_any_pieces() -> None:
    request = b"GET /\xc3\xa9\x00 HTTP/1.1\r\nHost: store\r\n\r\n"
    for at in range(1, len(request)):
        peer = Peer(echo)
        answers = await peer.say(request[:at], request[at:])
        assert answers.startswith(b"HTTP/1.1 400 "), at


async def test_framing_behind_a_raw_target_is_judged_as_ever(peer: Peer) -> None:
    twice = b"Content-Length: 4\r\nContent-Length: 5\r\n\r\n"
    answers = await peer.say(RAW.replace(b"\r\n\r\n", b"\r\n" + twice) + PLAIN)
    assert answers.startswith(b"HTTP/1.1 400 ")
    assert answers.count(b"HTTP/1.1") == 1


async def test_a_raw_target_behind_an_unanswered_request_is_refused() -> None:
    gate = asyncio.Event()

    async def slow(scope: Message, receive: Any, send: Any) -> None:
        await gate.wait()
        await reply(send, scope["raw_path"])

    peer = Peer(slow)
    # What comes after the answer continues a request whose beginning came before it.
    await peer.say(PLAIN + b"DELETE /")
    gate.set()
    await turns()
    answers = await peer.say(RAW)
    assert bodies(answers.partition(b"HTTP/1.1 400")[0]) == [b"/plain"]
    assert answers.count(b"HTTP/1.1 400") == 1
    assert peer.wire.ended == "told"


async def test_a_body_in_front_of_a_raw_target_is_no_request(peer: Peer) -> None:
    body = "GET /smuggled/ä HTTP/1.1\r\nHost: store\r\n\r\n".encode()
    head = b"PUT /key HTTP/1.1\r\nHost: store\r\nContent-Length: %d\r\n\r\n" % len(body)
    answers = await peer.say(head, body + RAW)
    assert bodies(answers.partition(b"HTTP/1.1 400")[0]) == [body]
    assert answers.count(b"HTTP/1.1 400") == 1
    assert peer.wire.ended == "told"


async def test_a_raw_target_leaves_room_for_as_long_a_head_as_others(peer: Peer) -> None:
    field = b"X: " + bytes([97]) * (connection.HEAD_BYTES - 1024)
    answers = await peer.say(RAW[:-2] + field, b"\r\n\r\n")
    assert bodies(answers) == [SENT]


async def test_an_endless_raw_target_is_refused(peer: Peer) -> None:
    piece = "ä".encode() * 1000
    pieces = [piece] * (connection.HEAD_BYTES // len(piece) + 1)
    answers = await peer.say(b"GET /", *pieces)
    assert answers.startswith(b"HTTP/1.1 4")
    assert peer.wire.ended == "told"


async def test_raw_pieces_win_no_time(peer: Peer) -> None:
    await peer.say(b"GET /")
    began = asyncio.get_running_loop().time()
    peer.server.look(began + 29, keep_alive_s=60, head_s=30, stall_s=60)
    peer.server._since = began - 20.0
    await peer.say("ä".encode())
    peer.server.look(began + 11, keep_alive_s=60, head_s=30, stall_s=60)
    assert peer.wire.ended == "closed"
