"""What the gateway makes of errors, and of requests it refuses early or has no room for."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from core.errors import MethodNotAllowed, NoSuchKey, UnknownOutcome
from s3.wire import Call, Reply, header
from tests.support.asgi import Client, Handled, Response, assert_refused, make_client

pytestmark = pytest.mark.usefixtures("moment")


async def test_an_error_shows_its_details(client: Client, handled: Handled) -> None:
    handled.reply = NoSuchKey(key="a<&>\x01")

    response = await client.signed("GET", "/bucket/a")

    assert_refused(response, 404, "NoSuchKey")
    assert "<Key>a&lt;&amp;&gt;�</Key>".encode() in response.body


async def test_an_error_may_bring_headers(client: Client, handled: Handled) -> None:
    handled.reply = MethodNotAllowed(headers=(("Allow", "GET, HEAD"),))

    assert (await client.signed("GET", "/bucket/a"))["allow"] == "GET, HEAD"


async def test_what_nobody_foresaw_is_an_internal_error(client: Client, handled: Handled) -> None:
    handled.reply = ZeroDivisionError("a secret of ours")

    response = await client.signed("GET", "/bucket/a")

    assert_refused(response, 500, "InternalError")
    assert b"secret" not in response.body


async def test_a_database_that_is_too_slow_is_a_503(client: Client, handled: Handled) -> None:
    handled.reply = psycopg.errors.QueryCanceled("canceling statement due to statement timeout")

    assert_refused(await client.signed("GET", "/bucket/a"), 503, "ServiceUnavailable")


async def test_an_inner_error_is_shown_as_what_it_is_seen_as(
    client: Client, handled: Handled
) -> None:
    handled.reply = UnknownOutcome("the commit was lost", version_id="x")

    response = await client.signed("GET", "/bucket/a")

    assert_refused(response, 503, "ServiceUnavailable")
    assert b"commit" not in response.body
    assert b"VersionId" not in response.body
    assert response["retry-after"] == "1"


async def test_a_line_break_in_a_header_is_not_sent(client: Client, handled: Handled) -> None:
    handled.reply = Reply(200, [(b"x-amz-meta-a", b"one\r\nset-cookie: two")])

    response = await client.signed("GET", "/bucket/a")

    assert response.status == 400
    assert not any(b"set-cookie" in value for _, value in response.headers)


def test_a_header_outside_latin_1_is_sent_as_utf_8() -> None:
    assert header(b"x-amz-meta-a", "日本") == (b"x-amz-meta-a", "日本".encode())


async def test_a_refused_body_that_was_to_be_asked_for_is_not(client: Client) -> None:
    response = await client.plain(
        "PUT", "/bucket/a", b"hello", headers=[("expect", "100-continue"), ("content-length", "5")]
    )

    assert_refused(response, 403, "AccessDenied")
    assert response.reads == 0


@pytest.mark.parametrize(
    ("body", "is_last"), [(b"", True), (b"hello", False)], ids=["empty", "asked for"]
)
async def test_without_100_continue_the_answer_is_the_last_of_its_connection(
    client: Client, body: bytes, is_last: bool
) -> None:
    response = await client.signed("PUT", "/bucket/a", body, headers={"expect": "100-continue"})

    assert response.status == 200
    assert ("connection" in response) == is_last


async def test_a_refused_body_under_way_is_read_away(client: Client) -> None:
    response = await client.plain("PUT", "/bucket/a", b"hello", pieces=[b"he", b"llo"])

    assert_refused(response, 403, "AccessDenied")
    assert response.reads == 2
    assert "connection" not in response


async def test_a_large_refused_body_is_not_read_away(client: Client) -> None:
    headers = [("content-length", str(1 << 30))]

    response = await client.plain("PUT", "/bucket/a", b"x", headers=headers)

    assert_refused(response, 403, "AccessDenied")
    assert (response.reads, response["connection"]) == (0, "close")


async def test_beyond_the_cap_clients_are_told_to_slow_down(handled: Handled) -> None:
    client = make_client(handled, OBJSTORE_S3_INFLIGHT="1", OBJSTORE_S3_RETRY_AFTER_S="7")
    inner: list[Response] = []

    class Nested(Handled):
        async def __call__(self, call: Call, store: Any) -> Reply:
            inner.append(await client.signed("GET", "/bucket/b"))
            return Reply(200)

    nested = Nested()
    client._gateway._find = nested.find
    outer = await client.signed("GET", "/bucket/a")

    assert outer.status == 200
    assert_refused(inner[0], 503, "SlowDown")
    assert inner[0]["retry-after"] == "7"
