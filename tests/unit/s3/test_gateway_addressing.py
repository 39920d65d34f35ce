"""How the gateway reads a request's head: bucket, key, query, headers."""

from __future__ import annotations

import pytest

from tests.support import asgi
from tests.support.asgi import Client, Handled, assert_refused


async def test_a_key_is_decoded_once(client: Client, handled: Handled) -> None:
    await client.signed("GET", "/bucket/a%2520b%2Fc//../%C3%A4+d")

    assert handled.calls[0].key == "a%20b/c//../ä+d"


async def test_a_bucket_may_be_in_the_host(client: Client, handled: Handled) -> None:
    headers = client.signer.headers("GET", "http://bucket.s3.localhost:9000/a/b")

    await client.plain("GET", "/a/b", headers=headers)

    assert (handled.calls[0].bucket, handled.calls[0].key) == ("bucket", "a/b")


async def test_a_bucket_in_the_host_alone_is_the_bucket(client: Client, handled: Handled) -> None:
    headers = client.signer.headers("GET", "http://bucket.localhost/?location")

    await client.plain("GET", "/?location", headers=headers)

    assert handled.calls[0].operation.name == "GetBucketLocation"


@pytest.mark.parametrize(
    "raw_path", [b"/bucket/\xff", b"/bucket/%FF", b"/bucket/%zz", b"/bucket/%4"]
)
async def test_a_path_that_is_no_text_is_refused(client: Client, raw_path: bytes) -> None:
    response = await client.plain("GET", "/", raw_path=raw_path)

    assert_refused(response, 400, "InvalidURI")


async def test_a_key_of_1025_bytes_is_too_long(client: Client) -> None:
    assert_refused(await client.plain("GET", "/bucket/" + "a" * 1025), 400, "KeyTooLongError")


@pytest.mark.parametrize("path", ["/Bucket", "/a_b/key", "/ab", "//key", "/health/key"])
async def test_a_bad_bucket_name_is_refused_before_anything_else(client: Client, path: str) -> None:
    assert_refused(await client.plain("PUT", path), 400, "InvalidBucketName")


async def test_a_query_value_is_decoded(client: Client, handled: Handled) -> None:
    await client.signed("GET", "/bucket?prefix=a%2Fb%20c&list-type=2")

    assert handled.calls[0].query == {"prefix": "a/b c", "list-type": "2"}


async def test_repeated_headers_are_joined(client: Client, handled: Handled) -> None:
    headers = list(client.signer.headers("PUT", asgi.ENDPOINT + "/bucket/a").items())
    headers += [("accept", "a"), ("accept", "b")]

    await client.plain("PUT", "/bucket/a", b"", headers=headers)

    assert handled.calls[0].headers["accept"] == "a,b"


@pytest.mark.parametrize("name", ["host", "content-length", "transfer-encoding"])
async def test_a_header_that_frames_the_request_may_come_once(client: Client, name: str) -> None:
    headers = [
        ("host", "h"),
        ("content-length", "1"),
        ("transfer-encoding", "chunked"),
        (name, "2"),
    ]

    assert_refused(await client.plain("PUT", "/bucket/a", headers=headers), 400, "InvalidRequest")
