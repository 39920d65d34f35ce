"""Addresses that carry their signature."""

from __future__ import annotations

import pytest
from botocore.client import BaseClient

from tests.s3.accounts import Account
from tests.s3.raw import Answer, Raw


def follow(raw: Raw, address: str, method: str = "GET", **more: object) -> Answer:
    return raw.unsigned(method, address.removeprefix(raw.endpoint), **more)


@pytest.fixture(scope="module")
def s3(account: Account) -> BaseClient:
    # Left to itself boto3 presigns for the previous version of signatures.
    return account.client(signature_version="s3v4")


@pytest.fixture
def filled(s3, bucket: str) -> str:
    s3.put_object(Bucket=bucket, Key="a b", Body=b"content")
    return bucket


def test_an_address_is_read_by_anybody(raw, s3, filled) -> None:
    address = s3.generate_presigned_url("get_object", Params={"Bucket": filled, "Key": "a b"})

    assert follow(raw, address).body == b"content"


def test_an_address_is_written_to_by_anybody(raw, s3, bucket) -> None:
    address = s3.generate_presigned_url(
        "put_object", Params={"Bucket": bucket, "Key": "a", "ContentType": "a/b"}
    )

    answer = follow(raw, address, "PUT", body=b"content", headers={"content-type": "a/b"})

    assert answer.status == 200
    assert s3.head_object(Bucket=bucket, Key="a")["ContentType"] == "a/b"


def test_an_address_may_say_how_to_answer(raw, s3, filled) -> None:
    address = s3.generate_presigned_url(
        "get_object",
        Params={"Bucket": filled, "Key": "a b", "ResponseContentDisposition": 'x; f="a b"'},
    )

    assert follow(raw, address).headers["content-disposition"] == 'x; f="a b"'


def test_an_address_is_for_one_method_and_one_key(raw, s3, filled) -> None:
    address = s3.generate_presigned_url("get_object", Params={"Bucket": filled, "Key": "a b"})

    for other in (
        follow(raw, address, "DELETE"),
        follow(raw, address.replace("a%20b", "other")),
        follow(raw, address + "&versionId=null"),
    ):
        assert (other.status, other.code) == (403, "SignatureDoesNotMatch")


def test_a_signed_header_must_be_sent(raw, s3, bucket) -> None:
    address = s3.generate_presigned_url(
        "put_object", Params={"Bucket": bucket, "Key": "a", "ACL": "public-read"}
    )

    assert follow(raw, address, "PUT", body=b"x").status == 403
    sent = {"x-amz-acl": "public-read"}
    assert follow(raw, address, "PUT", body=b"x", headers=sent).status == 200


@pytest.mark.parametrize("expires", ["0", "-1", "604801", "9" * 30])
def test_an_address_lives_a_second_to_a_week(raw, bucket, expires: str) -> None:
    address = raw.signer.presign("GET", f"{raw.endpoint}/{bucket}/a", expires_s=600)

    answer = follow(raw, address.replace("X-Amz-Expires=600", f"X-Amz-Expires={expires}"))

    assert answer.status == 403


def test_an_address_lacking_a_field_is_a_bad_request(raw, bucket) -> None:
    address = raw.signer.presign("GET", f"{raw.endpoint}/{bucket}/a", expires_s=600)

    answer = follow(raw, address.replace("X-Amz-Expires=600", "x-unrelated=1"))

    assert (answer.status, answer.code) == (400, "AuthorizationQueryParametersError")


def test_an_address_brings_the_metadata_that_was_signed_into_its_query(raw, s3, bucket) -> None:
    target = f"{raw.endpoint}/{bucket}/a?x-amz-meta-colour=blue&x-amz-storage-class=STANDARD_IA"
    address = raw.signer.presign("PUT", target, expires_s=600)

    assert follow(raw, address, "PUT", body=b"x").status == 200
    assert follow(raw, address.replace("blue", "red"), "PUT", body=b"x").status == 403

    kept = s3.head_object(Bucket=bucket, Key="a")
    assert (kept["Metadata"], kept["StorageClass"]) == ({"colour": "blue"}, "STANDARD_IA")
