"""Checksums of parts, and of the objects made of them."""

import base64
import zlib

import pytest

from tests.s3.refusals import refused
from tests.s3.uploads import PART, begin, complete, send, upload_of


@pytest.mark.parametrize(
    ("algorithm", "kind", "shown"),
    [
        ("CRC32", None, "COMPOSITE"),
        ("CRC32", "FULL_OBJECT", "FULL_OBJECT"),
        ("CRC32C", "FULL_OBJECT", "FULL_OBJECT"),
        ("CRC64NVME", None, "FULL_OBJECT"),
        ("SHA1", None, "COMPOSITE"),
        ("SHA256", None, "COMPOSITE"),
    ],
)
def test_checksums_of_parts_make_one_of_the_whole(s3, bucket, algorithm, kind, shown) -> None:
    named = {"ChecksumType": kind} if kind else {}
    answer = s3.create_multipart_upload(
        Bucket=bucket, Key="a", ChecksumAlgorithm=algorithm, **named
    )
    assert (answer["ChecksumAlgorithm"], answer["ChecksumType"]) == (algorithm, shown)
    upload = answer["UploadId"]
    parts = []
    for number, body in ((1, b"a" * PART), (2, b"bb")):
        part = s3.upload_part(
            Bucket=bucket,
            Key="a",
            UploadId=upload,
            PartNumber=number,
            Body=body,
            ChecksumAlgorithm=algorithm,
        )
        name = f"Checksum{algorithm}"
        parts.append({"PartNumber": number, "ETag": part["ETag"], name: part[name]})

    done = complete(s3, bucket, upload, *parts)

    head = s3.head_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")
    assert done["ChecksumType"] == head["ChecksumType"] == shown
    assert done[name] == head[name]
    assert done[name].endswith("-2") == (shown == "COMPOSITE")


@pytest.mark.parametrize("asked", [{"PartNumber": 2}, {"Range": f"bytes={PART}-{PART + 1}"}])
def test_exactly_one_part_comes_with_its_own_checksum(s3, bucket, asked: dict) -> None:
    upload = begin(s3, bucket, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    parts = [
        send(s3, bucket, upload, number, body) for number, body in ((1, b"a" * PART), (2, b"bb"))
    ]
    complete(s3, bucket, upload, *parts)

    shown = s3.get_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED", **asked)

    assert shown["ChecksumCRC32"] == base64.b64encode(zlib.crc32(b"bb").to_bytes(4)).decode()
    assert shown["ChecksumType"] == "FULL_OBJECT"


def test_a_range_of_everything_comes_with_the_checksum_of_the_whole(s3, bucket) -> None:
    upload_of(s3, bucket, b"a" * PART, b"bb", ChecksumAlgorithm="CRC32")
    whole = s3.head_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")

    shown = s3.get_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED", Range="bytes=0-")

    assert shown["ChecksumCRC32"] == whole["ChecksumCRC32"]
    assert shown["ChecksumType"] == whole["ChecksumType"]


def test_any_other_range_comes_without_a_checksum(s3, bucket) -> None:
    upload_of(s3, bucket, b"a" * PART, b"bb", ChecksumAlgorithm="CRC32")

    shown = s3.get_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED", Range="bytes=0-9")

    assert "ChecksumCRC32" not in shown


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [("SHA1", "FULL_OBJECT"), ("SHA256", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE")],
)
def test_a_forbidden_pair_of_algorithm_and_type_is_refused(s3, bucket, algorithm, kind) -> None:
    with refused(400, "InvalidRequest"):
        s3.create_multipart_upload(
            Bucket=bucket, Key="a", ChecksumAlgorithm=algorithm, ChecksumType=kind
        )


def test_a_part_of_another_algorithm_is_refused(s3, bucket) -> None:
    upload = begin(s3, bucket, ChecksumAlgorithm="SHA256")

    with refused(400, "InvalidRequest"):
        s3.upload_part(
            Bucket=bucket,
            Key="a",
            UploadId=upload,
            PartNumber=1,
            Body=b"x",
            ChecksumAlgorithm="CRC32",
        )


def test_a_wrong_checksum_of_the_whole_is_refused(s3, bucket) -> None:
    upload = begin(s3, bucket, ChecksumAlgorithm="CRC32")
    part = send(s3, bucket, upload, 1, b"x")

    with refused(400, "BadDigest"):
        complete(s3, bucket, upload, part, ChecksumCRC32="AAAAAA==")
