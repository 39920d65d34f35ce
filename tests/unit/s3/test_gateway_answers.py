"""What the gateway sends: headers, lengths, streams; and what a request leaves behind."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from core.errors import NoSuchKey, NotModified
from objects.found import Found
from s3.wire import Call, Reply
from tests.support import asgi
from tests.support.asgi import Client, Handled, make_client

pytestmark = pytest.mark.usefixtures("moment")


@pytest.mark.parametrize("reply", [Reply(200), NoSuchKey()], ids=["answered", "refused"])
async def test_a_finished_request_leaves_nothing_to_the_collector(
    client: Client, handled: Handled, reply: Reply | Exception
) -> None:
    handled.reply = reply
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        await client.signed("PUT", "/bucket/key", b"body")
        handled.calls.clear()
        if isinstance(reply, Exception):
            reply.__traceback__ = None  # ours, kept by this test
        gc.collect()
        assert not [type(one) for one in gc.garbage if isinstance(one, Call | Found | Reply)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def test_every_response_names_its_request(client: Client) -> None:
    first, second = await client.signed("GET", "/bucket/a"), await client.plain("GET", "/bucket/a")

    assert first["x-amz-request-id"] != second["x-amz-request-id"]
    for response in (first, second):
        assert response["x-amz-id-2"]
        assert response["date"] == "Sat, 31 Jan 2026 12:00:00 GMT"
        assert response["server"] == "objstore"


async def test_the_error_body_repeats_the_request_id(client: Client) -> None:
    response = await client.plain("GET", "/bucket/a")

    assert f"<RequestId>{response['x-amz-request-id']}</RequestId>".encode() in response.body
    assert response["content-type"] == "application/xml"
    assert b"<Resource>/bucket/a</Resource>" in response.body


async def test_the_length_of_a_body_is_announced(client: Client, handled: Handled) -> None:
    handled.reply = Reply(200, [], b"hello")

    response = await client.signed("GET", "/bucket/a")

    assert (response["content-length"], response.body) == ("5", b"hello")


async def test_a_head_announces_a_length_and_sends_nothing(
    client: Client, handled: Handled
) -> None:
    handled.reply = Reply(200, [], None, length=77)

    response = await client.signed("HEAD", "/bucket/a")

    assert (response["content-length"], response.body) == ("77", b"")


async def test_a_failed_head_has_no_body(client: Client, handled: Handled) -> None:
    handled.reply = NoSuchKey(key="a")

    response = await client.signed("HEAD", "/bucket/a")

    assert (response.status, response.body, response.is_complete) == (404, b"", True)


@pytest.mark.parametrize("status", [204, 304])
async def test_these_statuses_have_neither_body_nor_type(
    client: Client, handled: Handled, status: int
) -> None:
    handled.reply = Reply(status, [(b"content-type", b"text/plain"), (b"etag", b'"a"')])

    response = await client.signed("GET", "/bucket/a")

    assert (response.status, response.body) == (status, b"")
    assert "content-type" not in response
    assert response["etag"] == '"a"'


async def test_not_modified_as_an_error_keeps_its_headers(client: Client, handled: Handled) -> None:
    handled.reply = NotModified(headers=(("ETag", '"a"'),))

    response = await client.signed("GET", "/bucket/a")

    assert (response.status, response.body, response["etag"]) == (304, b"", '"a"')


class Pieces:
    """A stream of these pieces; an exception among them is raised."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self._pieces = list(pieces)
        self.is_closed = False

    async def next(self) -> bytes:
        piece = self._pieces.pop(0) if self._pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return piece

    async def close(self) -> None:
        self.is_closed = True


async def test_a_stream_is_sent_and_closed(client: Client, handled: Handled) -> None:
    pieces = Pieces(b"one", b"two")
    handled.reply = Reply(200, [], pieces, length=6)

    response = await client.signed("GET", "/bucket/a")

    assert (response.body, response["content-length"]) == (b"onetwo", "6")
    assert (response.is_complete, pieces.is_closed) == (True, True)


async def test_a_stream_that_fails_is_broken_off(client: Client, handled: Handled) -> None:
    pieces = Pieces(b"one", NoSuchKey(key="a"))
    handled.reply = Reply(200, [], pieces, length=6)

    response = await client.signed("GET", "/bucket/a")

    assert (response.body, response.is_complete, pieces.is_closed) == (b"one", False, True)


async def test_a_stream_shorter_than_announced_is_broken_off(
    client: Client, handled: Handled
) -> None:
    pieces = Pieces(b"one")
    handled.reply = Reply(200, [], pieces, length=6)

    with pytest.raises(AssertionError):
        await client.signed("GET", "/bucket/a")

    assert pieces.is_closed


async def test_a_stream_nobody_listens_to_is_closed(handled: Handled) -> None:
    pieces = Pieces(*[b"x"] * 1000)
    handled.reply = Reply(200, [], pieces, length=1000)
    client = make_client(handled)
    headers = client.signer.headers("GET", asgi.ENDPOINT + "/bucket/a")
    sent = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)
        await asyncio.sleep(0)  # as a socket would

    await client._gateway.serve(
        {
            "type": "http",
            "scheme": "http",
            "method": "GET",
            "raw_path": b"/bucket/a",
            "query_string": b"",
            "headers": [(n.encode(), v.encode()) for n, v in headers.items()],
        },
        receive,
        send,
    )

    assert len(sent) < 10
    assert pieces.is_closed
