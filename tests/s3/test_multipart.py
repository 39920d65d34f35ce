"""Multipart uploads from beginning to end, and their parts afterwards."""

import hashlib

import pytest

from tests.s3.objects import body_of
from tests.s3.refusals import refused
from tests.s3.uploads import PART, begin, complete, send, upload_of


def test_parts_become_one_object(s3, bucket) -> None:
    first, second = b"a" * PART, b"b" * 17

    answer = upload_of(s3, bucket, first, second, Metadata={"colour": "blue"})

    whole = hashlib.md5(hashlib.md5(first).digest() + hashlib.md5(second).digest()).hexdigest()
    assert answer["ETag"] == f'"{whole}-2"'
    shown = s3.head_object(Bucket=bucket, Key="a")
    assert (shown["ETag"], shown["Metadata"]) == (answer["ETag"], {"colour": "blue"})
    assert body_of(s3, bucket) == first + second


def test_nothing_is_seen_before_completion(s3, bucket) -> None:
    upload = begin(s3, bucket)
    send(s3, bucket, upload, 1, b"x")

    with refused(404, "NoSuchKey"):
        s3.get_object(Bucket=bucket, Key="a")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_an_aborted_upload_leaves_the_object_as_it_was(s3, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"before")
    upload = begin(s3, bucket)
    send(s3, bucket, upload, 1, b"x")

    s3.abort_multipart_upload(Bucket=bucket, Key="a", UploadId=upload)

    assert body_of(s3, bucket) == b"before"
    with refused(404, "NoSuchUpload"):
        s3.list_parts(Bucket=bucket, Key="a", UploadId=upload)
    with refused(404, "NoSuchUpload"):
        send(s3, bucket, upload, 2, b"x")


def test_a_part_sent_again_replaces_the_first(s3, bucket) -> None:
    upload = begin(s3, bucket)
    send(s3, bucket, upload, 1, b"first")
    part = send(s3, bucket, upload, 1, b"second")

    complete(s3, bucket, upload, part)

    assert body_of(s3, bucket) == b"second"


def test_parts_may_be_left_out_and_numbers_may_have_gaps(s3, bucket) -> None:
    upload = begin(s3, bucket)
    kept = send(s3, bucket, upload, 3, b"a" * PART)
    send(s3, bucket, upload, 5, b"b" * PART)
    last = send(s3, bucket, upload, 9, b"c")

    complete(s3, bucket, upload, kept, last)

    assert body_of(s3, bucket) == b"a" * PART + b"c"


@pytest.mark.parametrize("body", [b"", b"x"])
def test_a_single_part_may_have_any_size(s3, bucket, body: bytes) -> None:
    upload_of(s3, bucket, body)

    assert body_of(s3, bucket) == body


@pytest.mark.parametrize("number", [0, 10_001])
def test_a_part_number_out_of_bounds_is_refused(raw, s3, bucket, number: int) -> None:
    upload = begin(s3, bucket)

    answer = raw("PUT", f"/{bucket}/a?uploadId={upload}&partNumber={number}", body=b"x")

    assert (answer.status, answer.code) == (400, "InvalidArgument")


@pytest.mark.parametrize("upload", ["nonsense", "0" * 32])
def test_an_unknown_upload_is_refused(s3, bucket, upload: str) -> None:
    with refused(404, "NoSuchUpload"):
        send(s3, bucket, upload, 1, b"x")
    with refused(404, "NoSuchUpload"):
        s3.abort_multipart_upload(Bucket=bucket, Key="a", UploadId=upload)
    with refused(404, "NoSuchUpload"):
        complete(s3, bucket, upload, {"PartNumber": 1, "ETag": '"x"'})


def test_an_upload_belongs_to_its_key(s3, bucket) -> None:
    upload = begin(s3, bucket)

    with refused(404, "NoSuchUpload"):
        send(s3, bucket, upload, 1, b"x", key="b")


def test_a_part_is_read_by_its_number(s3, bucket) -> None:
    upload_of(s3, bucket, b"a" * PART, b"b" * 9)

    answer = s3.get_object(Bucket=bucket, Key="a", PartNumber=2)

    assert answer["Body"].read() == b"b" * 9
    assert answer["PartsCount"] == 2
    assert answer["ContentRange"] == f"bytes {PART}-{PART + 8}/{PART + 9}"
    with refused(416, "InvalidPartNumber"):
        s3.get_object(Bucket=bucket, Key="a", PartNumber=3)


def test_a_range_crosses_parts(s3, bucket) -> None:
    upload_of(s3, bucket, b"a" * PART, b"b" * PART)

    answer = s3.get_object(Bucket=bucket, Key="a", Range=f"bytes={PART - 3}-{PART + 2}")

    assert answer["Body"].read() == b"aaabbb"
