"""The authentication gate: who is let in, who is refused, and in which order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core.sigv4_client import Signer
from s3.wire import Call, Reply
from tenants.access import compile_policy
from tests.support import asgi
from tests.support.asgi import Client, FakeStore, Handled, Response, assert_refused, make_client
from tests.support.clock import FakeClock


def assert_let_in(response: Response, handled: Handled) -> None:
    """As the caller whose key signed."""
    [caller] = [call.caller for call in handled.calls]
    assert response.status == 200
    assert caller is not None
    assert caller.key_id == asgi.ACCESS_KEY


async def test_a_signed_request_is_let_in_as_its_caller(client: Client, handled: Handled) -> None:
    assert_let_in(await client.signed("GET", "/bucket/key"), handled)


async def test_one_question_is_asked_for_one_request(client: Client, store: FakeStore) -> None:
    await client.signed("GET", "/bucket/key")

    [question] = store.asked
    assert (question.access_key, question.bucket, question.key) == (
        asgi.ACCESS_KEY,
        "bucket",
        "key",
    )


async def test_a_presigned_request_is_let_in(client: Client, handled: Handled) -> None:
    url = client.signer.presign("GET", asgi.URL, expires_s=60)

    response = await client.plain("GET", url.removeprefix(asgi.ENDPOINT))

    assert_let_in(response, handled)


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


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
async def test_who_asks_and_of_which_bucket_is_judged_before_a_malformed_version(
    client: Client, method: str
) -> None:
    wrong, stranger = (
        Signer(asgi.ACCESS_KEY, "wrong"),
        Signer(asgi.STRANGER_KEY, asgi.STRANGER_SECRET),
    )
    target = "/bucket/key?versionId=nonsense"

    forged = await client.signed(method, target, signer=wrong)
    foreign = await client.signed(method, target, signer=stranger)
    nobodys = await client.plain(method, target)
    nowhere = await client.signed(method, "/missing/key?versionId=nonsense")

    assert [answer.status for answer in (forged, foreign, nobodys, nowhere)] == [403, 403, 403, 404]


async def test_a_malformed_version_is_refused_before_the_handler(
    client: Client, handled: Handled
) -> None:
    response = await client.signed("GET", "/bucket/key?versionId=nonsense")

    assert_refused(response, 400, "InvalidArgument")
    assert handled.calls == []


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


async def test_a_decision_can_be_made_again(moment: FakeClock) -> None:
    checks = []

    class Keeping(Handled):
        async def __call__(self, call: Call, store: Any) -> Reply:
            checks.append((call.found.check, call.found))
            return Reply(200)

    await make_client(Keeping()).signed("GET", "/bucket/key")
    [(check, found)] = checks
    assert check is not None
    check(found)

    found.caller = asgi.caller(enabled=False)
    with pytest.raises(Exception, match="InvalidAccessKeyId"):
        check(found)


async def test_the_expected_owner_is_let_in(client: Client) -> None:
    headers = {"x-amz-expected-bucket-owner": asgi.ACCOUNT}

    assert (await client.signed("GET", "/bucket/key", headers=headers)).status == 200


@pytest.mark.parametrize("is_signed", [True, False])
async def test_another_expected_owner_is_denied(client: Client, is_signed: bool) -> None:
    headers = {"x-amz-expected-bucket-owner": "2" * 12}
    send = client.signed if is_signed else client.plain

    assert_refused(await send("GET", "/bucket/key", headers=headers), 403, "AccessDenied")
