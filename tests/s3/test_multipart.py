"""Multipart uploads from beginning to end."""

import base64
import concurrent.futures
import hashlib
import zlib

import pytest

from tests.s3.refusals import refused

MIB = 1 << 20
PART = 5 * MIB


def begin(s3, bucket: str, key: str = "a", **options) -> str:
    return s3.create_multipart_upload(Bucket=bucket, Key=key, **options)["UploadId"]


def send(s3, bucket: str, upload: str, number: int, body: bytes, key: str = "a") -> dict:
    etag = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=body)[
        "ETag"
    ]
    return {"PartNumber": number, "ETag": etag}


def complete(s3, bucket: str, upload: str, *parts: dict, key: str = "a", **options) -> dict:
    return s3.complete_multipart_upload(
        Bucket=bucket,
        Key=key,
        UploadId=upload,
        MultipartUpload={"Parts": list(parts)},
        **options,
    )


def body_of(s3, bucket: str, key: str = "a") -> bytes:
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def upload_of(s3, bucket: str, *bodies: bytes, **options) -> dict:
    upload = begin(s3, bucket, **options)
    parts = [send(s3, bucket, upload, number, body) for number, body in enumerate(bodies, 1)]
    return complete(s3, bucket, upload, *parts)


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


def test_parts_are_listed_page_by_page(s3, account, bucket) -> None:
    upload = begin(s3, bucket)
    for number in (1, 2, 3):
        send(s3, bucket, upload, number, b"x" * number)

    first = s3.list_parts(Bucket=bucket, Key="a", UploadId=upload, MaxParts=2)
    rest = s3.list_parts(
        Bucket=bucket, Key="a", UploadId=upload, PartNumberMarker=first["NextPartNumberMarker"]
    )

    assert [part["Size"] for part in first["Parts"]] == [1, 2]
    assert (first["IsTruncated"], rest["IsTruncated"]) == (True, False)
    assert [part["PartNumber"] for part in rest["Parts"]] == [3]
    assert first["Owner"]["ID"] == first["Initiator"]["ID"] == account.canonical_id


def test_open_uploads_are_listed_by_key_and_time(s3, account, bucket) -> None:
    uploads = [("a", begin(s3, bucket, "a")), ("a", begin(s3, bucket, "a"))]
    uploads += [("b/c", begin(s3, bucket, "b/c"))]

    listed = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]

    assert [(one["Key"], one["UploadId"]) for one in listed] == uploads
    assert {one["Owner"]["ID"] for one in listed} == {account.canonical_id}


def test_open_uploads_are_listed_page_by_page(s3, bucket) -> None:
    uploads = [begin(s3, bucket, key) for key in ("a", "a", "b", "c")]

    pages = list(
        s3.get_paginator("list_multipart_uploads").paginate(
            Bucket=bucket, PaginationConfig={"PageSize": 1}
        )
    )

    assert [one["UploadId"] for page in pages for one in page["Uploads"]] == uploads


def test_an_upload_marker_of_another_form_is_refused(s3, bucket) -> None:
    with refused(400, "InvalidArgument"):
        s3.list_multipart_uploads(Bucket=bucket, KeyMarker="a", UploadIdMarker="nonsense")


def test_open_uploads_are_rolled_up(s3, bucket) -> None:
    for key in ("a/1", "a/2", "b"):
        begin(s3, bucket, key)

    page = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")

    assert [one["Prefix"] for one in page["CommonPrefixes"]] == ["a/"]
    assert [one["Key"] for one in page["Uploads"]] == ["b"]


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
