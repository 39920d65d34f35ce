"""Bodies of operations that take none: nobody wants them, and they must be what was signed."""

from __future__ import annotations

from hashlib import sha256

import pytest

from core.streams import SMALL
from tests.support.asgi import Client, Handled, assert_refused

pytestmark = pytest.mark.usefixtures("moment")

OTHER = sha256(b"another body").hexdigest()
COPY = {"x-amz-copy-source": "/bucket/source"}
UNSIZED = {"transfer-encoding": "chunked"}


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("DELETE", "/bucket/a", {}),
        ("DELETE", "/bucket/a", UNSIZED),
        ("DELETE", "/bucket", {}),
        ("PUT", "/bucket/a", COPY),
        ("PUT", "/bucket/a?partNumber=1&uploadId=u", COPY),
        ("POST", "/bucket/a?uploads", {}),
        ("GET", "/bucket/a", {}),
    ],
)
async def test_one_that_differs_from_its_hash_is_refused_and_nothing_done(
    client: Client, handled: Handled, method: str, target: str, headers: dict[str, str]
) -> None:
    response = await client.signed(method, target, b"a body", headers=headers, payload_hash=OTHER)

    assert_refused(response, 400, "XAmzContentSHA256Mismatch")
    assert handled.calls == []


@pytest.mark.parametrize("headers", [{}, UNSIZED])
@pytest.mark.parametrize("size", [1, SMALL])
async def test_one_that_has_its_hash_is_ignored(
    client: Client, handled: Handled, size: int, headers: dict[str, str]
) -> None:
    body = bytes(size)

    response = await client.signed(
        "DELETE", "/bucket/a", body, headers=headers, payload_hash=sha256(body).hexdigest()
    )

    assert (response.status, handled.received) == (200, b"")


async def test_one_that_was_not_signed_is_not_read(client: Client, handled: Handled) -> None:
    await client.signed("DELETE", "/bucket/a", b"a body", payload_hash="UNSIGNED-PAYLOAD")

    assert handled.received == b"a body"


async def test_a_large_one_is_not_read_for_its_hash(client: Client, handled: Handled) -> None:
    body = bytes(SMALL + 1)

    response = await client.signed("DELETE", "/bucket/a", body, payload_hash=OTHER)

    assert (response.status, handled.received) == (200, body)


async def test_one_of_unknown_length_is_not_read_on_when_it_is_large(client: Client) -> None:
    pieces = [bytes(SMALL), b"a", b"b", b"c"]

    response = await client.signed(
        "DELETE", "/bucket/a", b"", headers=UNSIZED, payload_hash=OTHER, pieces=pieces
    )

    assert response.status == 200


async def test_one_cut_short_is_refused(client: Client, handled: Handled) -> None:
    headers = {"content-length": "10"}

    response = await client.signed(
        "DELETE", "/bucket/a", b"half", headers=headers, payload_hash=OTHER
    )

    assert_refused(response, 400, "IncompleteBody")
    assert handled.calls == []
