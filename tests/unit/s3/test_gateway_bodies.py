"""Request bodies through the gateway: in memory, in pieces, of another length than announced."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from core import sigv4
from core.streams import Whole
from tests.support import asgi
from tests.support.asgi import Client, Handled, assert_refused, make_client

pytestmark = pytest.mark.usefixtures("moment")


async def test_a_small_body_is_in_memory(client: Client, handled: Handled) -> None:
    await client.signed("PUT", "/bucket/a", b"hello", pieces=[b"he", b"llo"])

    assert handled.received == b"hello"
    assert isinstance(handled.calls[0].body, Whole)


async def test_a_small_body_is_read_once(client: Client) -> None:
    response = await client.signed("PUT", "/bucket/a", b"hello", pieces=[b"hello", b""])

    assert response.reads == 1


async def test_a_large_body_is_read_piece_by_piece(client: Client, handled: Handled) -> None:
    pieces = [b"a" * 50_000, b"b" * 50_000]

    await client.signed("PUT", "/bucket/a", b"".join(pieces), pieces=pieces)

    assert handled.received == b"".join(pieces)
    assert not isinstance(handled.calls[0].body, Whole)
    assert handled.calls[0].body.length == 100_000


@pytest.mark.parametrize("size", [5, 100_000])
async def test_fewer_bytes_than_announced_are_an_incomplete_body(client: Client, size: int) -> None:
    response = await client.signed("PUT", "/bucket/a", b"x" * size, pieces=[b"x" * (size - 1)])

    assert_refused(response, 400, "IncompleteBody")


@pytest.mark.parametrize("size", [5, 100_000])
async def test_a_client_that_goes_away_leaves_an_incomplete_body(
    client: Client, handled: Handled, size: int
) -> None:
    response = await client.signed("PUT", "/bucket/a", b"x" * size, pieces=[])

    assert_refused(response, 400, "IncompleteBody")
    assert handled.received is None


async def test_more_bytes_than_announced_are_an_incomplete_body(client: Client) -> None:
    response = await client.signed("PUT", "/bucket/a", b"hello", pieces=[b"hello more"])

    assert_refused(response, 400, "IncompleteBody")


async def test_a_put_without_a_length_is_refused(client: Client) -> None:
    assert_refused(await client.signed("PUT", "/bucket/a"), 411, "MissingContentLength")


async def test_a_chunked_transfer_is_read_to_its_end(client: Client, handled: Handled) -> None:
    headers = client.signer.headers("PUT", asgi.ENDPOINT + "/bucket/a", payload_hash=sigv4.UNSIGNED)
    headers["transfer-encoding"] = "chunked"

    await client.plain("PUT", "/bucket/a", b"", headers=headers, pieces=[b"ab", b"c"])

    assert handled.received == b"abc"


async def test_a_long_chunked_transfer_gets_its_length(tmp_path: Path, handled: Handled) -> None:
    client = make_client(handled, OBJSTORE_HOME=str(tmp_path))
    headers = client.signer.headers("PUT", asgi.ENDPOINT + "/bucket/a", payload_hash=sigv4.UNSIGNED)
    headers["transfer-encoding"] = "chunked"
    pieces = [bytes([n]) * 700_000 for n in range(5)]

    await client.plain("PUT", "/bucket/a", b"", headers=headers, pieces=pieces)

    assert handled.received == b"".join(pieces)
    assert handled.calls[0].body.length == 3_500_000
    assert list((tmp_path / "tmp").iterdir()) == []


async def test_an_endless_chunked_transfer_is_too_large(tmp_path: Path, handled: Handled) -> None:
    client = make_client(handled, OBJSTORE_HOME=str(tmp_path), OBJSTORE_LIMITS_PUT_BYTES="2MiB")
    headers = client.signer.headers("PUT", asgi.ENDPOINT + "/bucket/a", payload_hash=sigv4.UNSIGNED)
    headers["transfer-encoding"] = "chunked"

    response = await client.plain(
        "PUT", "/bucket/a", b"", headers=headers, pieces=[bytes(1 << 20)] * 3
    )

    assert_refused(response, 400, "EntityTooLarge")


async def test_too_many_headers_are_refused(client: Client) -> None:
    headers = {"x-a": "a" * 10_000, "x-b": "b" * 10_000}

    response = await client.signed("GET", "/bucket/a", headers=headers)

    assert_refused(response, 400, "RequestHeaderSectionTooLarge")


async def test_over_five_gibibytes_are_too_large(client: Client) -> None:
    headers = client.signer.headers("PUT", asgi.ENDPOINT + "/bucket/a", payload_hash=sigv4.UNSIGNED)
    headers["content-length"] = str((5 << 30) + 1)

    response = await client.plain("PUT", "/bucket/a", headers=headers)

    assert_refused(response, 400, "EntityTooLarge")
    assert response["connection"] == "close"


async def test_the_signed_hash_is_handed_on_with_the_body(client: Client, handled: Handled) -> None:
    digest = sha256(b"hello").hexdigest()

    await client.signed("PUT", "/bucket/a", b"hello", payload_hash=digest)

    assert handled.calls[0].payload_sha256 == digest
