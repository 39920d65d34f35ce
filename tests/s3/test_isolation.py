"""A tenant's keys reach only its buckets; a user's only what its policy allows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from botocore.client import BaseClient

from tests.s3.accounts import Account
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


def test_a_reader_reads_and_lists_and_no_more(s3, reader: Account, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"content")
    client = reader.client()

    assert client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"content"
    assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    for attempt in (
        lambda: client.put_object(Bucket=bucket, Key="b", Body=b""),
        lambda: client.delete_object(Bucket=bucket, Key="a"),
        lambda: client.create_bucket(Bucket=f"{bucket}-new"),
        lambda: client.put_object_tagging(Bucket=bucket, Key="a", Tagging={"TagSet": []}),
    ):
        with refused(403, "AccessDenied"):
            attempt()


def test_a_writer_neither_reads_nor_learns_what_is_there(s3, writer: Account, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"content")
    client = writer.client()

    client.put_object(Bucket=bucket, Key="b", Body=b"")

    for key in ("a", "never"):
        with refused(403, "AccessDenied"):
            client.get_object(Bucket=bucket, Key=key)


def test_who_may_not_delete_is_denied_per_key(s3, writer: Account, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"content")

    answer = writer.client().delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}]})

    assert [(one["Key"], one["Code"]) for one in answer["Errors"]] == [("a", "AccessDenied")]
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"content"


def test_a_writer_copies_only_what_it_may_read(s3, writer: Account, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"content")

    with refused(403, "AccessDenied"):
        writer.client().copy_object(
            Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "a"}
        )


def test_a_disabled_key_signs_nothing(disabled: Account, bucket) -> None:
    with refused(403, "InvalidAccessKeyId"):
        disabled.client().list_objects_v2(Bucket=bucket)
