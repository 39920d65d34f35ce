"""A tenant's keys reach only its buckets; a user's only what its policy allows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from botocore.client import BaseClient

from tests.s3.accounts import client_for
from tests.s3.refusals import refused

STRANGE = {
    "get": lambda s3, bucket: s3.get_object(Bucket=bucket, Key="a"),
    "put": lambda s3, bucket: s3.put_object(Bucket=bucket, Key="a", Body=b"mine"),
    "delete": lambda s3, bucket: s3.delete_object(Bucket=bucket, Key="a"),
    "list": lambda s3, bucket: s3.list_objects_v2(Bucket=bucket),
    "versions": lambda s3, bucket: s3.list_object_versions(Bucket=bucket),
    "uploads": lambda s3, bucket: s3.list_multipart_uploads(Bucket=bucket),
    "upload": lambda s3, bucket: s3.create_multipart_upload(Bucket=bucket, Key="a"),
    "tagging": lambda s3, bucket: s3.get_object_tagging(Bucket=bucket, Key="a"),
    "acl": lambda s3, bucket: s3.get_bucket_acl(Bucket=bucket),
    "versioning": lambda s3, bucket: s3.get_bucket_versioning(Bucket=bucket),
    "delete bucket": lambda s3, bucket: s3.delete_bucket(Bucket=bucket),
    "many": lambda s3, bucket: s3.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": "a"}]}
    ),
}  # fmt: skip


@pytest.mark.parametrize("attempt", STRANGE.values(), ids=STRANGE.keys())
def test_a_stranger_is_denied_and_changes_nothing(
    s3: BaseClient,
    other_s3: BaseClient,
    bucket: str,
    attempt: Callable[[BaseClient, str], object],
) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"theirs")

    with refused(403, "AccessDenied"):
        attempt(other_s3, bucket)

    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"theirs"


def test_a_stranger_does_not_learn_which_keys_there_are(s3, other_s3, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"theirs")

    for key in ("a", "never"):
        with refused(403, "403"):
            other_s3.head_object(Bucket=bucket, Key=key)


@pytest.fixture
def user(store, account) -> Callable[..., BaseClient]:
    """Make users of the account's tenant with the words of `user create --allow`."""

    def create(name: str, allow: str) -> BaseClient:
        made = store.manage_json(
            "user", "create", name, "--tenant", account.display_name, "--allow", allow
        )
        return client_for(account.endpoint, str(made["access_key"]), str(made["secret_key"]))

    return create


def test_a_reader_reads_and_lists_and_no_more(s3, user, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"content")
    reader = user(f"reader-of-{bucket}", "read")

    assert reader.get_object(Bucket=bucket, Key="a")["Body"].read() == b"content"
    assert reader.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    for refusal in (
        lambda: reader.put_object(Bucket=bucket, Key="b", Body=b""),
        lambda: reader.delete_object(Bucket=bucket, Key="a"),
        lambda: reader.create_bucket(Bucket=f"{bucket}-new"),
        lambda: reader.put_object_tagging(Bucket=bucket, Key="a", Tagging={"TagSet": []}),
    ):
        with refused(403, "AccessDenied"):
            refusal()


def test_a_writer_neither_reads_nor_learns_what_is_there(s3, user, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"content")
    writer = user(f"writer-of-{bucket}", "write")

    writer.put_object(Bucket=bucket, Key="b", Body=b"")

    for key in ("a", "never"):
        with refused(403, "AccessDenied"):
            writer.get_object(Bucket=bucket, Key=key)


def test_who_may_not_delete_is_denied_per_key(s3, user, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"content")
    writer = user(f"no-deleter-of-{bucket}", "read,write")

    answer = writer.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}]})

    assert [(one["Key"], one["Code"]) for one in answer["Errors"]] == [("a", "AccessDenied")]
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"content"


def test_a_disabled_key_signs_nothing(store, user, bucket) -> None:
    client = user(f"disabled-of-{bucket}", "read")
    client.list_objects_v2(Bucket=bucket)
    store.manage("key", "disable", client._request_signer._credentials.access_key)

    with refused(403, "InvalidAccessKeyId"):
        client.list_objects_v2(Bucket=bucket)
