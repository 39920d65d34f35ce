"""The authentication gate before presigned URLs: their life, their form, what they allow."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core.sigv4_client import Signer
from tests.support import asgi
from tests.support.asgi import Client, Handled, assert_refused
from tests.support.clock import FakeClock


def presigned(expires_s: int = 60, **more: Any) -> str:
    signer = Signer(asgi.ACCESS_KEY, asgi.SECRET)
    return signer.presign("GET", asgi.URL, expires_s=expires_s, **more).removeprefix(asgi.ENDPOINT)


@pytest.mark.parametrize("expires_s", [-1, 0, 604_801])
async def test_a_presigned_lifetime_out_of_range_is_denied(client: Client, expires_s: int) -> None:
    assert (await client.plain("GET", presigned(expires_s))).status == 403


async def test_the_longest_presigned_lifetime_is_a_week(client: Client) -> None:
    assert (await client.plain("GET", presigned(604_800))).status == 200


async def test_an_expired_url_is_denied(client: Client, moment: FakeClock) -> None:
    target = presigned(60)
    moment.advance(61)

    response = await client.plain("GET", target)

    assert_refused(response, 403, "AccessDenied")
    assert b"Request has expired" in response.body


async def test_a_url_is_good_until_it_expires(client: Client, moment: FakeClock) -> None:
    target = presigned(86_400)
    moment.advance(86_399)

    assert (await client.plain("GET", target)).status == 200


async def test_a_url_of_the_future_is_denied(client: Client) -> None:
    target = presigned(now=asgi.NOW + timedelta(minutes=16))

    assert_refused(await client.plain("GET", target), 403, "AccessDenied")


@pytest.mark.parametrize(
    ("change", "by"),
    [
        ("X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Algorithm=AWS4"),
        ("X-Amz-Expires=60", "X-Amz-Expires=soon"),
        ("X-Amz-Date=20260131T120000Z", "X-Amz-Date=today"),
        ("X-Amz-Date=20260131T120000Z&", ""),
        ("%2Fus-east-1%2F", "%2Feu-west-1%2F"),
        ("%2F20260131%2F", "%2F20260130%2F"),
        ("X-Amz-Expires=60", "X-Amz-Expires=60&X-Amz-Expires=61"),
    ],
)
async def test_a_malformed_url_is_a_bad_request(client: Client, change: str, by: str) -> None:
    response = await client.plain("GET", presigned().replace(change, by))

    assert_refused(response, 400, "AuthorizationQueryParametersError")


async def test_a_url_is_for_its_method_only(client: Client) -> None:
    response = await client.plain("DELETE", presigned())

    assert_refused(response, 403, "SignatureDoesNotMatch")


async def test_a_url_is_for_its_key_only(client: Client) -> None:
    response = await client.plain("GET", presigned().replace("/key", "/other"))

    assert_refused(response, 403, "SignatureDoesNotMatch")


async def test_an_amazon_header_cannot_be_added_to_a_url(client: Client) -> None:
    headers = {"x-amz-copy-source": "/bucket/private"}

    response = await client.plain("GET", presigned(), headers=headers)

    assert_refused(response, 403, "AccessDenied")


async def test_another_header_can_be_added_to_a_url(client: Client) -> None:
    response = await client.plain("GET", presigned(), headers={"range": "bytes=0-1"})

    assert response.status == 200


async def test_a_header_signed_into_a_url_must_come_with_it(client: Client) -> None:
    target = presigned(headers={"x-amz-acl": "private"})

    without = await client.plain("GET", target)
    with_it = await client.plain("GET", target, headers={"x-amz-acl": "private"})

    assert_refused(without, 403, "SignatureDoesNotMatch")
    assert with_it.status == 200


async def test_a_v2_url_is_refused(client: Client) -> None:
    response = await client.plain("GET", "/bucket/key?AWSAccessKeyId=a&Signature=b&Expires=1")

    assert_refused(response, 400, "InvalidRequest")


def put_with(*pairs: str) -> str:
    """A presigned PUT with more in its query."""
    url = f"{asgi.URL}?{'&'.join(pairs)}"
    signer = Signer(asgi.ACCESS_KEY, asgi.SECRET)
    return signer.presign("PUT", url, expires_s=60).removeprefix(asgi.ENDPOINT)


async def test_headers_a_signer_moved_into_the_query_are_headers_again(
    client: Client, handled: Handled
) -> None:
    target = put_with(
        "x-amz-meta-colour=blue%20%C3%A4",
        "X-Amz-Storage-Class=STANDARD_IA",
        "x-amz-acl=private",
        "x-amz-website-redirect-location=%2Fb",
        "x-amz-checksum-crc32=AAAAAA%3D%3D",
        "x-amz-tagging=a%3Db",
    )

    assert (await client.plain("PUT", target, b"x")).status == 200

    [call] = handled.calls
    moved = {name: value for name, value in call.headers.items() if name.startswith("x-amz-")}
    assert moved == {
        "x-amz-meta-colour": "blue ä".encode().decode("latin-1"),
        "x-amz-storage-class": "STANDARD_IA",
        "x-amz-acl": "private",
        "x-amz-website-redirect-location": "/b",
    }


async def test_the_query_of_a_request_signed_in_its_headers_holds_none(
    client: Client, handled: Handled
) -> None:
    await client.signed("PUT", "/bucket/key?x-amz-meta-colour=blue", b"x")

    [call] = handled.calls
    assert "x-amz-meta-colour" not in call.headers


@pytest.mark.parametrize(
    "pairs",
    [
        ["x-amz-meta-a=1%0D%0Aset-cookie%3A+b"],
        ["x-amz-meta-a=%00"],
        ["x-amz-meta-a%0D%0Ab=1"],
        ["x-amz-meta-a%20b=1"],
        ["x-amz-meta-%C3%A4=1"],
        ["x-amz-meta-a=1", "X-Amz-Meta-A=2"],
    ],
)
async def test_what_no_header_could_be_is_refused_in_the_query(
    client: Client, handled: Handled, pairs: list[str]
) -> None:
    assert_refused(await client.plain("PUT", put_with(*pairs), b"x"), 400, "InvalidArgument")
    assert handled.calls == []
