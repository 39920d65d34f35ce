"""The authentication gate before requests signed in their headers: clocks, forms, hashes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core import sigv4
from core.sigv4_client import Signer
from tests.support import asgi
from tests.support.asgi import Client, Handled, assert_refused


def signed_headers(method: str = "GET", url: str = asgi.URL, **more: Any) -> dict[str, str]:
    return Signer(asgi.ACCESS_KEY, asgi.SECRET).headers(method, url, **more)


@pytest.mark.parametrize(("minutes", "status"), [(-16, 403), (-14, 200), (14, 200), (16, 403)])
async def test_the_clocks_may_differ_by_a_quarter_of_an_hour(
    client: Client, minutes: int, status: int
) -> None:
    headers = signed_headers(now=asgi.NOW + timedelta(minutes=minutes))

    response = await client.plain("GET", "/bucket/key", headers=headers)

    assert response.status == status


async def test_a_clock_that_differs_more_is_told_ours(client: Client) -> None:
    headers = signed_headers(now=asgi.NOW - timedelta(days=365))

    response = await client.plain("GET", "/bucket/key", headers=headers)

    assert_refused(response, 403, "RequestTimeTooSkewed")
    assert b"<ServerTime>2026-01-31T12:00:00Z</ServerTime>" in response.body


@pytest.mark.parametrize("given", ["", "yesterday", "19500101T000000Z"])
async def test_a_date_that_is_none_is_denied(client: Client, given: str) -> None:
    headers = {**signed_headers(), "x-amz-date": given}

    response = await client.plain("GET", "/bucket/key", headers=headers)

    assert_refused(response, 403, "AccessDenied")


async def test_no_date_at_all_is_denied(client: Client) -> None:
    headers = signed_headers()
    del headers["x-amz-date"]

    assert_refused(await client.plain("GET", "/bucket/key", headers=headers), 403, "AccessDenied")


@pytest.mark.parametrize(
    ("change", "by"),
    [
        ("/us-east-1/", "/eu-west-1/"),
        ("/s3/", "/ec2/"),
        ("20260131/", "20260130/"),
        ("SignedHeaders=", "Signed="),
        ("aws4_request", "aws4"),
    ],
)
async def test_a_malformed_authorization_is_a_bad_request(
    client: Client, change: str, by: str
) -> None:
    headers = signed_headers()
    headers["authorization"] = headers["authorization"].replace(change, by)

    response = await client.plain("GET", "/bucket/key", headers=headers)

    assert_refused(response, 400, "AuthorizationHeaderMalformed")


async def test_a_wrong_region_is_told_the_right_one(client: Client) -> None:
    signer = Signer(asgi.ACCESS_KEY, asgi.SECRET, "eu-west-1")

    response = await client.signed("GET", "/bucket/key", signer=signer)

    assert b"<Region>us-east-1</Region>" in response.body


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("Bearer abc", "InvalidRequest"),
        ("AWS HAHAHA", "InvalidArgument"),
        ("AWS key:signature", "InvalidRequest"),
        ("Basic YTpi", "InvalidRequest"),
    ],
)
async def test_another_scheme_is_a_bad_request(
    client: Client, authorization: str, code: str
) -> None:
    response = await client.plain("GET", "/bucket/key", headers={"authorization": authorization})

    assert_refused(response, 400, code)


async def test_two_mechanisms_at_once_are_refused(client: Client) -> None:
    url = client.signer.presign("GET", asgi.URL, expires_s=60)

    response = await client.plain("GET", url.removeprefix(asgi.ENDPOINT), headers=signed_headers())

    assert_refused(response, 400, "InvalidArgument")


async def test_two_authorizations_are_refused(client: Client) -> None:
    headers = list(signed_headers().items())
    headers.append(("authorization", headers[-1][1]))

    response = await client.plain("GET", "/bucket/key", headers=headers)

    assert_refused(response, 400, "InvalidArgument")


async def test_an_unsigned_amazon_header_is_denied(client: Client) -> None:
    headers = {**signed_headers(), "x-amz-copy-source": "/bucket/private"}

    response = await client.plain("PUT", "/bucket/key", b"", headers=headers)

    assert_refused(response, 403, "AccessDenied")
    assert b"<HeadersNotSigned>x-amz-copy-source</HeadersNotSigned>" in response.body


async def test_the_host_must_be_signed(client: Client) -> None:
    headers = signed_headers()
    headers["authorization"] = headers["authorization"].replace("host;", "")

    assert_refused(await client.plain("GET", "/bucket/key", headers=headers), 403, "AccessDenied")


async def test_a_header_of_ours_is_dropped_at_the_edge(client: Client, handled: Handled) -> None:
    headers = {**signed_headers(), "x-objstore-peer": "replicator"}
    await client.plain("GET", "/bucket/key", headers=headers)

    [call] = handled.calls
    assert not any(name.startswith("x-objstore-") for name in call.headers)


async def test_a_session_token_is_not_known_here(client: Client) -> None:
    response = await client.signed("GET", "/bucket/key", headers={"x-amz-security-token": "abc"})

    assert_refused(response, 400, "InvalidToken")


async def test_an_object_needs_a_payload_hash(client: Client) -> None:
    headers = signed_headers("PUT")
    del headers["x-amz-content-sha256"]

    response = await client.plain("PUT", "/bucket/key", b"", headers=headers)

    assert_refused(response, 400, "InvalidRequest")


@pytest.mark.parametrize("given", ["", "abc", "unsigned-payload", "g" * 64])
async def test_a_payload_hash_that_is_none_is_refused(client: Client, given: str) -> None:
    response = await client.signed("PUT", "/bucket/key", b"", payload_hash=given)

    assert_refused(response, 400, "InvalidArgument")


async def test_a_document_must_match_its_signed_hash(client: Client) -> None:
    response = await client.signed(
        "PUT", "/bucket?versioning", b"<a/>", payload_hash=sigv4.sha256(b"<b/>").hexdigest()
    )

    assert_refused(response, 400, "XAmzContentSHA256Mismatch")
    assert b"<ClientComputedContentSHA256>" in response.body


async def test_a_hash_may_be_written_in_capitals(client: Client) -> None:
    response = await client.signed(
        "PUT", "/bucket?versioning", b"<a/>", payload_hash=sigv4.sha256(b"<a/>").hexdigest().upper()
    )

    assert response.status == 200


async def test_no_body_must_match_its_hash_too(client: Client) -> None:
    response = await client.signed("GET", "/bucket/key", payload_hash="0" * 64)

    assert_refused(response, 400, "XAmzContentSHA256Mismatch")
