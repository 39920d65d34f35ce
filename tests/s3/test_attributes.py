"""GetObjectAttributes."""

import hashlib

import pytest

from tests.s3.refusals import refused
from tests.s3.uploads import PART, upload_of

ALL = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]


def attributes(s3, bucket: str, *names: str, **options) -> dict:
    answer = s3.get_object_attributes(
        Bucket=bucket, Key="a", ObjectAttributes=list(names or ALL), **options
    )
    answer.pop("ResponseMetadata")
    return answer


def upload_three_parts(s3, bucket: str, **options) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="a", **options)["UploadId"]
    parts = []
    for number, size in ((1, PART), (2, PART), (4, 7)):
        sent = s3.upload_part(
            Bucket=bucket,
            Key="a",
            UploadId=upload,
            PartNumber=number,
            Body=b"x" * size,
            **({"ChecksumAlgorithm": "SHA256"} if options else {}),
        )
        parts.append({"PartNumber": number, "ETag": sent["ETag"]})
        if options:
            parts[-1]["ChecksumSHA256"] = sent["ChecksumSHA256"]
    s3.complete_multipart_upload(
        Bucket=bucket, Key="a", UploadId=upload, MultipartUpload={"Parts": parts}
    )


def test_a_plain_object_has_everything_but_parts(s3, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"content")

    shown = attributes(s3, bucket)

    assert shown["ETag"] == hashlib.md5(b"content").hexdigest()
    assert (shown["StorageClass"], shown["ObjectSize"]) == ("STANDARD", 7)
    assert shown["Checksum"]["ChecksumType"] == "FULL_OBJECT"
    assert "ObjectParts" not in shown
    assert "LastModified" in shown


def test_only_what_was_asked_is_shown(s3, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"content")

    shown = attributes(s3, bucket, "ObjectSize")

    assert (shown["ObjectSize"], "ETag" in shown, "StorageClass" in shown) == (7, False, False)


def test_a_multipart_object_shows_its_parts(s3, bucket) -> None:
    upload_three_parts(s3, bucket)

    parts = attributes(s3, bucket)["ObjectParts"]

    assert (parts["TotalPartsCount"], parts["IsTruncated"]) == (3, False)
    assert [part["Size"] for part in parts["Parts"]] == [PART, PART, 7]


def test_parts_are_paged(s3, bucket) -> None:
    upload_three_parts(s3, bucket)

    first = attributes(s3, bucket, "ObjectParts", MaxParts=1)["ObjectParts"]
    rest = attributes(s3, bucket, "ObjectParts", PartNumberMarker=first["NextPartNumberMarker"])[
        "ObjectParts"
    ]

    assert (first["MaxParts"], first["IsTruncated"], len(first["Parts"])) == (1, True, 1)
    assert [part["PartNumber"] for part in rest["Parts"]] == [2, 4]


def test_parts_show_their_checksums(s3, bucket) -> None:
    upload_three_parts(s3, bucket, ChecksumAlgorithm="SHA256")

    shown = attributes(s3, bucket)

    assert shown["Checksum"]["ChecksumSHA256"].endswith("-3")
    assert all(part["ChecksumSHA256"] for part in shown["ObjectParts"]["Parts"])


@pytest.mark.parametrize("asked", ["", "Colour", "ETag,Colour"])
def test_an_unknown_attribute_is_refused(raw, s3, bucket, asked: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"")

    answer = raw("GET", f"/{bucket}/a?attributes", headers={"x-amz-object-attributes": asked})

    assert (answer.status, answer.code) in [(400, "InvalidRequest"), (400, "InvalidArgument")]


def test_a_version_names_itself(s3, versioned) -> None:
    first = s3.put_object(Bucket=versioned, Key="a", Body=b"1")["VersionId"]
    s3.put_object(Bucket=versioned, Key="a", Body=b"22")

    shown = attributes(s3, versioned, VersionId=first)

    assert (shown["VersionId"], shown["ObjectSize"]) == (first, 1)


def test_what_is_missing_is_said(s3, versioned) -> None:
    with refused(404, "NoSuchKey"):
        attributes(s3, versioned)
    with refused(404, "NoSuchVersion"):
        attributes(s3, versioned, VersionId="0" * 32)


def test_a_page_of_no_parts_is_not_cut_off(s3, bucket) -> None:
    upload_of(s3, bucket, b"")

    shown = attributes(s3, bucket, "ObjectParts", MaxParts=0)["ObjectParts"]

    assert (shown["TotalPartsCount"], shown["IsTruncated"], "Parts" in shown) == (1, False, False)
