"""Storing, describing and deleting plain objects."""

import hashlib
from datetime import UTC, datetime

import pytest

from tests.s3.refusals import refused

KEYS = [
    "plain",
    "with space",
    "a//b",
    "./x",
    "../x",
    "/leading",
    "trailing/",
    "percent%25",
    "plus+plus",
    "question?mark",
    'quote"quote',
    "back\\slash",
    "tab\tnewline\n",
    "schlüssel-ключ-鍵-🔑",
    "a" * 1024,
]


@pytest.mark.parametrize("key", KEYS)
def test_any_key_round_trips_byte_for_byte(s3, bucket: str, key: str) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=b"content")

    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"content"
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]


def test_a_key_over_1024_bytes_is_refused(s3, bucket: str) -> None:
    with refused(400, "KeyTooLongError"):
        s3.put_object(Bucket=bucket, Key="ü" * 513, Body=b"")


def test_a_key_that_is_no_utf8_is_refused(raw, bucket: str) -> None:
    answer = raw("PUT", f"/{bucket}/%ff%fe")

    assert (answer.status, answer.code) == (400, "InvalidURI")


def test_an_etag_is_the_quoted_md5(s3, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="a", Body=b"content")["ETag"]

    assert etag == f'"{hashlib.md5(b"content").hexdigest()}"'
    assert s3.head_object(Bucket=bucket, Key="a")["ETag"] == etag
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["ETag"] == etag


@pytest.mark.parametrize("size", [0, 1, 4096, 65_536, 700_000, 5_000_000])
def test_bytes_of_any_size_come_back(s3, bucket: str, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    s3.put_object(Bucket=bucket, Key="a", Body=content)

    answer = s3.get_object(Bucket=bucket, Key="a")

    assert answer["ContentLength"] == size
    assert answer["Body"].read() == content


def test_an_empty_object_shows_its_length(raw, s3, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"")

    answer = raw("HEAD", f"/{bucket}/a")

    assert (answer.status, answer.headers["content-length"]) == (200, "0")


def test_system_headers_are_kept(s3, bucket: str) -> None:
    kept = {
        "ContentType": "text/plain; charset=utf-8",
        "ContentEncoding": "gzip",
        "ContentDisposition": 'attachment; filename="a.txt"',
        "ContentLanguage": "de",
        "CacheControl": "max-age=60",
        "WebsiteRedirectLocation": "/elsewhere",
    }
    s3.put_object(Bucket=bucket, Key="a", Body=b"", **kept)

    shown = s3.head_object(Bucket=bucket, Key="a")

    assert {name: shown[name] for name in kept} == kept


def test_expires_is_kept_as_it_was_sent(raw, bucket: str) -> None:
    raw("PUT", f"/{bucket}/a", headers={"expires": "whenever"})

    assert raw("HEAD", f"/{bucket}/a").headers["expires"] == "whenever"


def test_an_object_without_a_type_is_binary(raw, bucket: str) -> None:
    raw("PUT", f"/{bucket}/a", body=b"x")

    assert raw("HEAD", f"/{bucket}/a").headers["content-type"] == "binary/octet-stream"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("gzip, aws-chunked", "gzip"),
        ("aws-chunked,gzip", "gzip"),
        ("aws-chunked", None),
        ("gzip, br", "gzip, br"),
    ],
)
def test_the_coding_of_the_request_is_not_kept(raw, bucket: str, sent: str, kept: str) -> None:
    raw("PUT", f"/{bucket}/a", headers={"content-encoding": sent}, body=b"x")

    assert raw("HEAD", f"/{bucket}/a").headers.get("content-encoding") == kept


def test_metadata_is_kept_in_lower_case(s3, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"", Metadata={"Colour": "blue", "empty": ""})

    assert s3.head_object(Bucket=bucket, Key="a")["Metadata"] == {"colour": "blue", "empty": ""}


def test_a_put_replaces_all_metadata(s3, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"", Metadata={"colour": "blue"})

    s3.put_object(Bucket=bucket, Key="a", Body=b"")

    assert s3.head_object(Bucket=bucket, Key="a")["Metadata"] == {}


@pytest.mark.parametrize("sent", [b"gr\xc3\xbcn", b"gr\xfcn", "зелёный".encode()])
def test_metadata_bytes_come_back_unchanged(raw, bucket: str, sent: bytes) -> None:
    value = sent.decode("latin-1")
    raw("PUT", f"/{bucket}/a", headers={"x-amz-meta-colour": value})

    assert raw("HEAD", f"/{bucket}/a").headers["x-amz-meta-colour"] == value


def test_too_much_metadata_is_refused(s3, bucket: str) -> None:
    with refused(400, "MetadataTooLarge"):
        s3.put_object(Bucket=bucket, Key="a", Body=b"", Metadata={"a": "x" * 2048})


def test_a_storage_class_is_kept_and_shown(s3, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"", StorageClass="STANDARD_IA")

    assert s3.head_object(Bucket=bucket, Key="a")["StorageClass"] == "STANDARD_IA"
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["StorageClass"] == "STANDARD_IA"


def test_the_standard_class_is_not_mentioned(raw, s3, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"")

    assert "x-amz-storage-class" not in raw("HEAD", f"/{bucket}/a").headers


def test_an_unknown_storage_class_is_refused(s3, bucket: str) -> None:
    with refused(400, "InvalidStorageClass"):
        s3.put_object(Bucket=bucket, Key="a", Body=b"", StorageClass="VAULT")


def test_the_time_is_whole_seconds_and_the_same_everywhere(s3, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"")

    shown = s3.head_object(Bucket=bucket, Key="a")["LastModified"]
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"][0]["LastModified"]

    assert shown == listed
    assert shown.microsecond == 0
    assert shown <= datetime.now(UTC)


def test_durability_is_said_on_reads(raw, s3, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"x" * 100)

    assert raw("HEAD", f"/{bucket}/a").headers["x-objstore-durability"]
    assert raw("GET", f"/{bucket}/a").headers["x-objstore-durability"]


def test_a_deleted_object_is_gone(s3, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"")

    s3.delete_object(Bucket=bucket, Key="a")

    with refused(404, "NoSuchKey"):
        s3.get_object(Bucket=bucket, Key="a")
    with refused(404, "404"):
        s3.head_object(Bucket=bucket, Key="a")


def test_deleting_what_is_not_there_succeeds(s3, bucket: str) -> None:
    answer = s3.delete_object(Bucket=bucket, Key="never")

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_the_error_of_a_missing_key_names_it(raw, bucket: str) -> None:
    answer = raw("GET", f"/{bucket}/never")

    assert (answer.status, answer.xml.findtext("Key")) == (404, "never")


def test_writing_into_a_missing_bucket_is_refused(s3) -> None:
    with refused(404, "NoSuchBucket"):
        s3.put_object(Bucket="never-created", Key="a", Body=b"")


def test_virtual_host_style_reaches_the_same_object(raw, s3, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a/b", Body=b"content")
    url = f"http://{bucket}.localhost:{raw.port}/a/b"

    answer = raw.unsigned("GET", "/a/b", headers=raw.signer.headers("GET", url))

    assert (answer.status, answer.body) == (200, b"content")


def test_responses_are_overridden_when_asked(s3, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"", ContentType="text/plain")

    answer = s3.get_object(
        Bucket=bucket,
        Key="a",
        ResponseContentType="text/html",
        ResponseContentDisposition="attachment",
        ResponseCacheControl="no-store",
    )

    assert answer["ContentType"] == "text/html"
    assert answer["ContentDisposition"] == "attachment"
    assert answer["CacheControl"] == "no-store"


def test_an_override_cannot_break_a_header(raw, s3, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"")

    answer = raw("GET", f"/{bucket}/a?response-content-type=a%0d%0aset-cookie%3a%20b")

    assert answer.status == 400


@pytest.mark.parametrize(
    "header",
    ["x-amz-server-side-encryption", "x-amz-grant-read", "x-amz-write-offset-bytes"],
)
def test_what_is_not_done_is_not_ignored(raw, bucket: str, header: str) -> None:
    answer = raw("PUT", f"/{bucket}/a", headers={header: "AES256"})

    assert (answer.status, answer.code) == (501, "NotImplemented")


def test_a_lock_needs_a_bucket_with_locks(raw, bucket: str) -> None:
    answer = raw("PUT", f"/{bucket}/a", headers={"x-amz-object-lock-legal-hold": "ON"})

    assert (answer.status, answer.code) == (400, "InvalidRequest")


def test_a_request_without_a_length_is_refused(raw, bucket: str) -> None:
    signed = raw.signer.headers("PUT", f"{raw.endpoint}/{bucket}/a")

    answer = raw.unsigned("PUT", f"/{bucket}/a", headers={**signed, "content-length": ""})

    assert answer.status in (400, 411)
