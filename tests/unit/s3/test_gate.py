"""The authentication gate: every form of signature, what is refused, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from core import clock, sigv4
from core.config import Config
from core.sigv4_client import Signer
from s3.gateway import Gateway
from s3.operations import Operation, match
from s3.wire import Call, Reply
from tenants.access import compile_policy
from tests.support import asgi
from tests.support.asgi import Client, FakeStore, Response
from tests.support.clock import FakeClock

URL = asgi.ENDPOINT + "/bucket/key"


async def echo(call: Call, store: Any) -> Reply:
    """Answer with what was received, as the gate let it in."""
    content = b""
    while piece := await call.body.read():
        content += piece
    seen = call.caller.key_id.encode() if call.caller is not None else b"-"
    return Reply(200, [(b"x-seen", seen)], content)


def find(*asked: Any) -> Operation:
    return replace(match(*asked), handler=echo)


@pytest.fixture(autouse=True)
def moment() -> Iterator[FakeClock]:
    with clock.use(FakeClock(asgi.NOW)) as fake:
        assert isinstance(fake, FakeClock)
        yield fake


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def client(store: FakeStore) -> Client:
    return Client(Gateway(Config.from_env({}), store, find=find))


def assert_refused(response: Response, status: int, code: str) -> None:
    assert (response.status, f"<Code>{code}</Code>".encode() in response.body) == (status, True), (
        response.body
    )


def signed_headers(method: str = "GET", url: str = URL, **more: Any) -> dict[str, str]:
    return Signer(asgi.ACCESS_KEY, asgi.SECRET).headers(method, url, **more)


async def test_a_signed_request_is_let_in_as_its_caller(client: Client) -> None:
    response = await client.signed("GET", "/bucket/key")

    assert (response.status, response["x-seen"]) == (200, asgi.ACCESS_KEY)


async def test_one_question_is_asked_for_one_request(client: Client, store: FakeStore) -> None:
    await client.signed("GET", "/bucket/key")

    [question] = store.asked
    assert (question.access_key, question.bucket, question.key) == (
        asgi.ACCESS_KEY,
        "bucket",
        "key",
    )


async def test_a_presigned_request_is_let_in(client: Client) -> None:
    url = client.signer.presign("GET", URL, expires_s=60)

    response = await client.plain("GET", url.removeprefix(asgi.ENDPOINT))

    assert response["x-seen"] == asgi.ACCESS_KEY


async def test_nobody_is_not_let_in(client: Client) -> None:
    assert_refused(await client.plain("GET", "/bucket/key"), 403, "AccessDenied")


async def test_an_empty_authorization_is_nobody(client: Client) -> None:
    response = await client.plain("GET", "/bucket/key", headers={"authorization": ""})

    assert_refused(response, 403, "AccessDenied")


async def test_nobody_learns_that_a_bucket_is_missing(client: Client) -> None:
    assert_refused(await client.plain("DELETE", "/missing/key"), 404, "NoSuchBucket")


async def test_an_unknown_key_is_refused(client: Client) -> None:
    response = await client.signed("GET", "/bucket/key", signer=Signer("NOBODY", asgi.SECRET))

    assert_refused(response, 403, "InvalidAccessKeyId")


async def test_a_wrong_secret_is_refused(client: Client) -> None:
    response = await client.signed("GET", "/", signer=Signer(asgi.ACCESS_KEY, "wrong"))

    assert_refused(response, 403, "SignatureDoesNotMatch")


async def test_the_signature_is_judged_before_the_bucket(client: Client) -> None:
    response = await client.signed("GET", "/missing/key", signer=Signer(asgi.ACCESS_KEY, "wrong"))

    assert_refused(response, 403, "SignatureDoesNotMatch")


async def test_another_tenant_is_refused(client: Client) -> None:
    stranger = Signer(asgi.STRANGER_KEY, asgi.STRANGER_SECRET)

    response = await client.signed("GET", "/bucket/key", signer=stranger)

    assert_refused(response, 403, "AccessDenied")


async def test_another_tenant_cannot_delete_many(client: Client) -> None:
    stranger = Signer(asgi.STRANGER_KEY, asgi.STRANGER_SECRET)

    response = await client.signed("POST", "/bucket?delete", b"<Delete/>", signer=stranger)

    assert_refused(response, 403, "AccessDenied")


async def test_a_user_may_do_what_the_policy_allows(client: Client, store: FakeStore) -> None:
    policy = compile_policy(
        {
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Allow",
                "Action": "s3:GetObject",
                "Resource": "arn:aws:s3:::bucket/open/*",
            },
        }
    )
    store.callers[asgi.ACCESS_KEY] = asgi.caller(is_root=False, policy=policy)

    inside = await client.signed("GET", "/bucket/open/key")
    outside = await client.signed("GET", "/bucket/shut/key")

    assert inside.status == 200
    assert_refused(outside, 403, "AccessDenied")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"enabled": False}, "InvalidAccessKeyId"),
        ({"expires_at": asgi.NOW - timedelta(seconds=1)}, "InvalidAccessKeyId"),
        ({"suspended": True}, "AccountProblem"),
    ],
)
async def test_a_key_that_may_not_sign_is_refused(
    client: Client, store: FakeStore, change: dict[str, Any], code: str
) -> None:
    store.callers[asgi.ACCESS_KEY] = asgi.caller(**change)

    assert_refused(await client.signed("GET", "/bucket/key"), 403, code)


async def test_a_decision_can_be_made_again(store: FakeStore) -> None:
    checks = []

    async def keep(call: Call, store: Any) -> Reply:
        checks.append((call.found.check, call.found))
        return Reply(200)

    def finding(*asked: Any) -> Operation:
        return replace(match(*asked), handler=keep)

    await Client(Gateway(Config.from_env({}), store, find=finding)).signed("GET", "/bucket/key")
    [(check, found)] = checks
    assert check is not None
    check(found)

    found.caller = asgi.caller(enabled=False)
    with pytest.raises(Exception, match="InvalidAccessKeyId"):
        check(found)


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
    url = client.signer.presign("GET", URL, expires_s=60)

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


async def test_a_header_of_ours_is_dropped_at_the_edge(store: FakeStore) -> None:
    seen = []

    async def keep(call: Call, store: Any) -> Reply:
        seen.append(set(call.headers))
        return Reply(200)

    def finding(*asked: Any) -> Operation:
        return replace(match(*asked), handler=keep)

    client = Client(Gateway(Config.from_env({}), store, find=finding))
    headers = {**signed_headers(), "x-objstore-peer": "replicator"}
    await client.plain("GET", "/bucket/key", headers=headers)

    [names] = seen
    assert not any(name.startswith("x-objstore-") for name in names)


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


async def test_the_expected_owner_is_let_in(client: Client) -> None:
    headers = {"x-amz-expected-bucket-owner": asgi.ACCOUNT}

    assert (await client.signed("GET", "/bucket/key", headers=headers)).status == 200


@pytest.mark.parametrize("is_signed", [True, False])
async def test_another_expected_owner_is_denied(client: Client, is_signed: bool) -> None:
    headers = {"x-amz-expected-bucket-owner": "2" * 12}
    send = client.signed if is_signed else client.plain

    assert_refused(await send("GET", "/bucket/key", headers=headers), 403, "AccessDenied")


def presigned(expires_s: int = 60, **more: Any) -> str:
    signer = Signer(asgi.ACCESS_KEY, asgi.SECRET)
    return signer.presign("GET", URL, expires_s=expires_s, **more).removeprefix(asgi.ENDPOINT)


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
