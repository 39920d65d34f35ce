"""CopyObject and UploadPartCopy."""

from datetime import UTC, datetime

import pytest

from tests.s3.objects import body_of
from tests.s3.refusals import refused
from tests.s3.uploads import PART, upload_of

PAST = datetime(2000, 1, 1, tzinfo=UTC)


def source(bucket: str, key: str = "a", **more: str) -> dict:
    return {"Bucket": bucket, "Key": key, **more}


def copy(s3, bucket: str, key: str = "b", **options) -> dict:
    options.setdefault("CopySource", source(bucket))
    return s3.copy_object(Bucket=bucket, Key=key, **options)


@pytest.fixture
def filled(s3, bucket: str) -> str:
    """A bucket with an object `a` that has everything a copy can keep."""
    s3.put_object(
        Bucket=bucket,
        Key="a",
        Body=b"content",
        ContentType="text/plain",
        Metadata={"colour": "blue"},
        Tagging="shape=round",
        ACL="public-read",
        StorageClass="STANDARD_IA",
        WebsiteRedirectLocation="/elsewhere",
    )
    return bucket


def test_a_copy_keeps_content_type_and_metadata(s3, filled) -> None:
    result = copy(s3, filled)["CopyObjectResult"]

    shown = s3.head_object(Bucket=filled, Key="b")
    assert (shown["ContentType"], shown["Metadata"]) == ("text/plain", {"colour": "blue"})
    assert (shown["ETag"], shown["LastModified"]) == (result["ETag"], result["LastModified"])
    assert body_of(s3, filled, "b") == b"content"


def test_a_copy_does_not_keep_list_class_and_redirect(s3, filled) -> None:
    copy(s3, filled)

    shown = s3.head_object(Bucket=filled, Key="b")
    assert "StorageClass" not in shown
    assert "WebsiteRedirectLocation" not in shown
    assert len(s3.get_object_acl(Bucket=filled, Key="b")["Grants"]) == 1


def test_replacing_takes_metadata_from_the_request(s3, filled) -> None:
    copy(s3, filled, MetadataDirective="REPLACE", Metadata={"size": "big"}, ContentType="a/b")

    shown = s3.head_object(Bucket=filled, Key="b")
    assert (shown["ContentType"], shown["Metadata"]) == ("a/b", {"size": "big"})


def test_tags_are_copied_unless_replaced(s3, filled) -> None:
    copy(s3, filled)
    copy(s3, filled, "c", TaggingDirective="REPLACE", Tagging="shape=square")

    def shape(key: str) -> str:
        return s3.get_object_tagging(Bucket=filled, Key=key)["TagSet"][0]["Value"]

    assert (shape("b"), shape("c")) == ("round", "square")


def test_an_unknown_directive_is_refused(raw, filled) -> None:
    headers = {"x-amz-copy-source": f"/{filled}/a", "x-amz-metadata-directive": "MERGE"}

    answer = raw("PUT", f"/{filled}/b", headers=headers)

    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_a_copy_onto_itself_must_change_something(s3, filled) -> None:
    with refused(400, "InvalidRequest"):
        copy(s3, filled, "a", StorageClass="STANDARD_IA")

    copy(s3, filled, "a", MetadataDirective="REPLACE", Metadata={"new": "yes"})

    assert s3.head_object(Bucket=filled, Key="a")["Metadata"] == {"new": "yes"}
    assert body_of(s3, filled, "a") == b"content"


@pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
def test_a_copy_of_any_size_outlives_its_source(s3, bucket, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"z" * (size % 256)
    s3.put_object(Bucket=bucket, Key="a", Body=content)

    copy(s3, bucket)
    s3.delete_object(Bucket=bucket, Key="a")

    assert body_of(s3, bucket, "b") == content


def test_a_multipart_object_is_copied(s3, bucket) -> None:
    upload_of(s3, bucket, b"a" * PART, b"b" * 10, ContentType="a/b")

    copy(s3, bucket)

    assert body_of(s3, bucket, "b") == b"a" * PART + b"b" * 10
    assert s3.head_object(Bucket=bucket, Key="b")["ContentType"] == "a/b"


@pytest.mark.parametrize("key", ["a b", "a+b", "a%b", "a%25b", "a?versionId=b", "é", "a/b", "/a"])
def test_a_source_is_decoded_once(s3, bucket, key: str) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=b"content")

    copy(s3, bucket, "copied", CopySource=source(bucket, key))

    assert body_of(s3, bucket, "copied") == b"content"


def test_a_version_is_copied_and_named(s3, versioned) -> None:
    first = s3.put_object(Bucket=versioned, Key="a?b", Body=b"1")["VersionId"]
    s3.put_object(Bucket=versioned, Key="a?b", Body=b"2")

    answer = copy(s3, versioned, CopySource=source(versioned, "a?b", VersionId=first))

    assert answer["CopySourceVersionId"] == first
    assert answer["VersionId"] != first
    assert body_of(s3, versioned, "b") == b"1"


def test_an_old_version_is_restored_onto_its_key(s3, versioned) -> None:
    first = s3.put_object(Bucket=versioned, Key="a", Body=b"1")["VersionId"]
    s3.put_object(Bucket=versioned, Key="a", Body=b"2")

    copy(s3, versioned, "a", CopySource=source(versioned, "a", VersionId=first))

    assert body_of(s3, versioned, "a") == b"1"


def test_what_is_missing_is_said(s3, versioned) -> None:
    marker = s3.delete_object(Bucket=versioned, Key="gone")["VersionId"]

    with refused(404, "NoSuchKey"):
        copy(s3, versioned, CopySource=source(versioned, "never"))
    with refused(404, "NoSuchKey"):
        copy(s3, versioned, CopySource=source(versioned, "gone"))
    with refused(400, "InvalidRequest"):
        copy(s3, versioned, CopySource=source(versioned, "gone", VersionId=marker))
    with refused(404, "NoSuchVersion"):
        copy(s3, versioned, CopySource=source(versioned, "a", VersionId="0" * 32))
    with refused(404, "NoSuchBucket"):
        copy(s3, versioned, CopySource=source("never-created", "a"))


@pytest.mark.parametrize("text", ["", "bucket-only", "/", "UPPER/key", "b/k?other=1", "b/%ff"])
def test_a_malformed_source_is_refused(raw, bucket, text: str) -> None:
    answer = raw("PUT", f"/{bucket}/b", headers={"x-amz-copy-source": text})

    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_a_strangers_object_is_not_copied(other_s3, filled) -> None:
    target = f"{filled}-target"
    other_s3.create_bucket(Bucket=target)

    with refused(403, "AccessDenied"):
        other_s3.copy_object(Bucket=target, Key="b", CopySource=source(filled))
    with refused(403, "AccessDenied"):
        other_s3.copy_object(Bucket=target, Key="b", CopySource=source(filled, "never"))


def test_conditions_on_the_source_fail_with_412(s3, filled) -> None:
    head = s3.head_object(Bucket=filled, Key="a")
    for condition in (
        {"CopySourceIfMatch": '"x"'},
        {"CopySourceIfNoneMatch": head["ETag"]},
        {"CopySourceIfModifiedSince": head["LastModified"]},
        {"CopySourceIfUnmodifiedSince": PAST},
        {"CopySourceIfNoneMatch": head["ETag"], "CopySourceIfModifiedSince": PAST},
    ):
        with refused(412, "PreconditionFailed"):
            copy(s3, filled, **condition)


def test_conditions_on_the_source_that_hold_let_it_pass(s3, filled) -> None:
    etag = s3.head_object(Bucket=filled, Key="a")["ETag"]

    copy(s3, filled, CopySourceIfMatch=etag, CopySourceIfUnmodifiedSince=PAST)

    assert body_of(s3, filled, "b") == b"content"


def test_a_condition_on_the_target_is_judged(s3, filled) -> None:
    copy(s3, filled, IfNoneMatch="*")

    with refused(412, "PreconditionFailed"):
        copy(s3, filled, IfNoneMatch="*")


def test_the_source_may_be_expected_to_have_an_owner(s3, account, filled) -> None:
    copy(s3, filled, ExpectedSourceBucketOwner=account.account_id)

    with refused(403, "AccessDenied"):
        copy(s3, filled, ExpectedSourceBucketOwner="000000000000")


def test_another_checksum_may_be_asked_for(s3, filled) -> None:
    result = copy(s3, filled, ChecksumAlgorithm="SHA256")["CopyObjectResult"]

    assert result["ChecksumSHA256"] == "7XACtDnprIRfIjV9giusFERzD722AW0+yUMil7nsn3M="


def part_copy(s3, bucket: str, **options) -> dict:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="b")["UploadId"]
    options.setdefault("CopySource", source(bucket))
    result = s3.upload_part_copy(Bucket=bucket, Key="b", UploadId=upload, PartNumber=1, **options)[
        "CopyPartResult"
    ]
    return s3.complete_multipart_upload(
        Bucket=bucket,
        Key="b",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": result["ETag"]}]},
    )


@pytest.mark.parametrize(
    ("asked", "body"), [("bytes=0-6", b"content"), ("bytes=3-4", b"te"), ("bytes=6-6", b"t")]
)
def test_a_part_is_a_range_of_its_source(s3, filled, asked: str, body: bytes) -> None:
    part_copy(s3, filled, CopySourceRange=asked)

    assert body_of(s3, filled, "b") == body


def test_a_part_without_a_range_is_the_whole_source(s3, filled) -> None:
    part_copy(s3, filled)

    assert body_of(s3, filled, "b") == b"content"


def test_a_part_of_a_large_source_is_cut_right(s3, bucket) -> None:
    content = b"".join(number.to_bytes(4, "big") for number in range(2_000_000))
    s3.put_object(Bucket=bucket, Key="a", Body=content)

    part_copy(s3, bucket, CopySourceRange="bytes=1000001-6999998")

    assert body_of(s3, bucket, "b") == content[1_000_001:6_999_999]


@pytest.mark.parametrize(
    "asked", ["0-2", "bytes=0", "bytes=2-1", "bytes=hello-world", "bytes=0-1,3-4", "bytes=-3"]
)
def test_a_malformed_range_is_refused(s3, filled, asked: str) -> None:
    with refused(400, "InvalidArgument"):
        part_copy(s3, filled, CopySourceRange=asked)


def test_a_range_outside_the_source_is_refused(s3, filled) -> None:
    with refused(416, "InvalidRange"):
        part_copy(s3, filled, CopySourceRange="bytes=0-7")


def test_a_part_copy_into_no_upload_is_refused(s3, filled) -> None:
    with refused(404, "NoSuchUpload"):
        s3.upload_part_copy(
            Bucket=filled, Key="b", UploadId="0" * 32, PartNumber=1, CopySource=source(filled)
        )


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x-amz-metadata-directive": "MERGE"}, "InvalidArgument"),
        ({"x-amz-storage-class": "VAULT"}, "InvalidStorageClass"),
        ({"x-amz-acl": "everybody"}, "InvalidArgument"),
        ({"x-amz-checksum-algorithm": "CRC8"}, "InvalidRequest"),
        ({"x-amz-tagging-directive": "REPLACE", "x-amz-tagging": "aws:a=1"}, "InvalidTag"),
    ],
)
def test_a_request_that_makes_no_sense_is_told_before_what_is_missing(
    raw, bucket, headers, code: str
) -> None:
    answer = raw("PUT", f"/{bucket}/b", headers={"x-amz-copy-source": f"{bucket}/never", **headers})

    assert (answer.status, answer.code) == (400, code)
