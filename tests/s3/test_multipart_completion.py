"""CompleteMultipartUpload: which lists of parts make an object, and what else is judged by then."""

import base64
import concurrent.futures
import hashlib

import pytest

from tests.s3.objects import body_of
from tests.s3.refusals import refused
from tests.s3.uploads import PART, begin, complete, send


def test_a_small_part_before_the_last_is_refused(s3, bucket) -> None:
    upload = begin(s3, bucket)
    parts = [send(s3, bucket, upload, number, b"x") for number in (1, 2)]

    with refused(400, "EntityTooSmall"):
        complete(s3, bucket, upload, *parts)


def test_parts_out_of_order_are_refused(s3, bucket) -> None:
    upload = begin(s3, bucket)
    parts = [send(s3, bucket, upload, number, b"x" * PART) for number in (1, 2)]

    with refused(400, "InvalidPartOrder"):
        complete(s3, bucket, upload, *reversed(parts))


def test_a_wrong_etag_is_refused(s3, bucket) -> None:
    upload = begin(s3, bucket)
    send(s3, bucket, upload, 1, b"x")

    with refused(400, "InvalidPart"):
        complete(s3, bucket, upload, {"PartNumber": 1, "ETag": '"ffff"'})


def test_a_part_never_sent_is_refused(s3, bucket) -> None:
    upload = begin(s3, bucket)
    part = send(s3, bucket, upload, 1, b"x")

    with refused(400, "InvalidPart"):
        complete(s3, bucket, upload, {**part, "PartNumber": 2})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<CompleteMultipartUpload/>",
        b"<CompleteMultipartUpload><Part/></CompleteMultipartUpload>",
        b"<Other/>",
    ],
)
def test_an_empty_list_is_refused(raw, s3, bucket, body: bytes) -> None:
    upload = begin(s3, bucket)

    answer = raw("POST", f"/{bucket}/a?uploadId={upload}", body=body)

    assert (answer.status, answer.code) == (400, "MalformedXML")


def test_an_etag_without_quotes_and_a_body_without_namespace_do(raw, s3, bucket) -> None:
    upload = begin(s3, bucket)
    etag = send(s3, bucket, upload, 1, b"x")["ETag"].strip('"')
    body = (
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
        f"<ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    )

    answer = raw("POST", f"/{bucket}/a?uploadId={upload}", body=body.encode())

    assert answer.status == 200
    assert answer.xml.findtext("ETag", "").startswith('"')


def test_completing_twice_gives_the_same_answer(s3, bucket) -> None:
    upload = begin(s3, bucket)
    part = send(s3, bucket, upload, 1, b"x")

    first = complete(s3, bucket, upload, part)
    second = complete(s3, bucket, upload, part)

    assert second["ETag"] == first["ETag"]


def test_completing_again_after_deletion_is_refused(s3, bucket) -> None:
    upload = begin(s3, bucket)
    part = send(s3, bucket, upload, 1, b"x")
    complete(s3, bucket, upload, part)
    s3.delete_object(Bucket=bucket, Key="a")

    with refused(404, "NoSuchUpload"):
        complete(s3, bucket, upload, part)


def test_concurrent_completions_make_one_version(s3, versioned) -> None:
    upload = begin(s3, versioned)
    part = send(s3, versioned, upload, 1, b"x")

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: complete(s3, versioned, upload, part), range(4)))

    assert len({answer["VersionId"] for answer in answers}) == 1
    assert len(s3.list_object_versions(Bucket=versioned)["Versions"]) == 1


def test_a_wrong_size_of_the_whole_is_refused(s3, bucket) -> None:
    upload = begin(s3, bucket)
    part = send(s3, bucket, upload, 1, b"x")

    with refused(400, "InvalidRequest"):
        complete(s3, bucket, upload, part, MpuObjectSize=2)


def test_a_failed_condition_leaves_the_upload_open(s3, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"before")
    upload = begin(s3, bucket)
    part = send(s3, bucket, upload, 1, b"x")

    with refused(412, "PreconditionFailed"):
        complete(s3, bucket, upload, part, IfNoneMatch="*")

    assert body_of(s3, bucket) == b"before"
    complete(s3, bucket, upload, part)
    assert body_of(s3, bucket) == b"x"


def list_of(*parts: dict) -> bytes:
    rows = "".join(
        f"<Part><PartNumber>{part['PartNumber']}</PartNumber><ETag>{part['ETag']}</ETag></Part>"
        for part in parts
    )
    return f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()


def test_the_digest_of_a_list_of_parts_is_checked(raw, s3, bucket) -> None:
    upload = begin(s3, bucket)
    body = list_of(send(s3, bucket, upload, 1, b"x"))
    path = f"/{bucket}/a?uploadId={upload}"
    right, wrong = (
        base64.b64encode(hashlib.md5(text).digest()).decode() for text in (body, b"other")
    )

    assert raw("POST", path, headers={"content-md5": wrong}, body=body).code == "BadDigest"
    assert raw("POST", path, headers={"content-md5": "short"}, body=body).code == "InvalidDigest"
    assert raw("POST", path, headers={"content-md5": right}, body=body).status == 200


@pytest.mark.parametrize("number", ["0", "10001", "9" * 5000])
def test_a_listed_part_number_out_of_bounds_is_refused(raw, s3, bucket, number: str) -> None:
    upload = begin(s3, bucket)
    body = list_of({"PartNumber": number, "ETag": "x"})

    answer = raw("POST", f"/{bucket}/a?uploadId={upload}", body=body)

    assert (answer.status, answer.code) == (400, "InvalidArgument")


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-checksum-type": "COMPOSITE"},
        {"x-amz-checksum-type": "OTHER"},
        {"x-amz-mp-object-size": "2"},
        {"x-amz-mp-object-size": str(4 << 40)},
    ],
)
def test_what_a_complete_claims_of_the_whole_is_judged(raw, s3, bucket, headers) -> None:
    upload = begin(s3, bucket)
    body = list_of(send(s3, bucket, upload, 1, b"x"))

    answer = raw("POST", f"/{bucket}/a?uploadId={upload}", headers=headers, body=body)

    assert (answer.status, answer.code) == (400, "InvalidRequest")


def test_an_empty_checksum_of_a_listed_part_is_as_none(raw, s3, bucket) -> None:
    upload = begin(s3, bucket)
    body = list_of(send(s3, bucket, upload, 1, b"x"))
    body = body.replace(b"</Part>", b"<ChecksumCRC32></ChecksumCRC32></Part>")

    assert raw("POST", f"/{bucket}/a?uploadId={upload}", body=body).status == 200
