"""The authentication gate before presigned URLs: their life, their form, what they allow."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core.sigv4_client import Signer
from tests.support import asgi
from tests.support.asgi import Client, assert_refused
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
