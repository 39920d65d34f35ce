"""What every answer has, and what S3 promises of errors."""

from __future__ import annotations

import hashlib
import socket
from xml.etree import ElementTree

import pytest

from tests.s3.raw import ANSWER_WITHIN_S
from tests.s3.refusals import refused


def test_every_answer_names_its_request(raw, bucket) -> None:
    for answer in (raw("GET", f"/{bucket}"), raw("GET", f"/{bucket}/never")):
        assert answer.headers["x-amz-request-id"]
        assert answer.headers["x-amz-id-2"]
        assert answer.headers["date"]
        assert answer.headers["server"]


def test_an_error_is_a_document_without_namespace(raw, bucket) -> None:
    answer = raw("GET", f"/{bucket}/never")

    assert answer.headers["content-type"] == "application/xml"
    assert answer.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>')
    assert b"xmlns" not in answer.body
    assert [node.tag for node in answer.xml][:2] == ["Code", "Message"]
    assert answer.xml.findtext("RequestId") == answer.headers["x-amz-request-id"]
    assert answer.xml.findtext("HostId") == answer.headers["x-amz-id-2"]
    assert answer.xml.findtext("Resource") == f"/{bucket}/never"


def test_an_answer_has_the_namespace_of_s3(raw, bucket) -> None:
    root = raw("GET", f"/{bucket}?list-type=2").body

    assert b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' in root


@pytest.mark.parametrize("path", ["/{}/never", "/{}/a?versionId=" + "0" * 32, "/never-created"])
def test_a_refused_head_has_no_body(raw, bucket, path: str) -> None:
    answer = raw("HEAD", path.format(bucket))

    assert (answer.status, answer.body) == (404, b"")


def test_an_empty_answer_has_no_type(raw, bucket) -> None:
    answer = raw("DELETE", f"/{bucket}/never")

    assert (answer.status, answer.body) == (204, b"")
    assert "content-type" not in answer.headers


def test_an_invalid_argument_is_named_and_escaped(raw, bucket) -> None:
    answer = raw("GET", f"/{bucket}?max-keys=%3C%26%3E%22%0A")

    assert (answer.status, answer.code) == (400, "InvalidArgument")
    assert answer.xml.findtext("ArgumentName") == "max-keys"
    assert answer.xml.findtext("ArgumentValue") == '<&>"\n'


def test_another_expected_owner_is_denied(s3, raw, bucket) -> None:
    with refused(403, "AccessDenied"):
        s3.list_objects_v2(Bucket=bucket, ExpectedBucketOwner="000000000000")
    with refused(403, "AccessDenied"):
        s3.put_object(Bucket=bucket, Key="a", Body=b"", ExpectedBucketOwner="000000000000")
    unsigned = raw.unsigned(
        "GET", f"/{bucket}", headers={"x-amz-expected-bucket-owner": "000000000000"}
    )
    assert (unsigned.status, unsigned.code) == (403, "AccessDenied")


def test_the_right_expected_owner_passes(s3, account, bucket) -> None:
    s3.list_objects_v2(Bucket=bucket, ExpectedBucketOwner=account.account_id)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_a_missing_bucket_is_missing_for_everybody(raw, method: str) -> None:
    answer = raw.unsigned(method, "/never-created/key")

    assert answer.status == 404
    if method != "HEAD":
        assert answer.code == "NoSuchBucket"


def test_the_order_of_query_parameters_is_free(raw, s3, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="b", Body=b"")

    answer = raw("GET", f"/{bucket}?start-after=a&list-type=2&prefix=b")

    assert answer.xml.findtext("KeyCount") == "1"


def test_a_plus_is_literal_in_a_path_and_a_space_in_a_query(raw, s3, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="a+b", Body=b"plus")
    s3.put_object(Bucket=bucket, Key="a b", Body=b"space")

    assert raw("GET", f"/{bucket}/a+b").body == b"plus"
    assert raw("GET", f"/{bucket}?prefix=a+b").xml.findtext("Contents/Key") == "a b"


def exchanged(raw, sent: bytes) -> bytes:
    """All that comes back for these bytes until the gateway closes."""
    came = b""
    with socket.create_connection((raw.host, raw.port), timeout=ANSWER_WITHIN_S) as connection:
        connection.sendall(sent)
        while piece := connection.recv(1 << 16):
            came += piece
    return came


@pytest.mark.parametrize("sent", [b"NONSENSE\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03"])
def test_what_is_no_request_gets_an_error_of_s3_and_the_end(raw, sent: bytes) -> None:
    head, _, body = exchanged(raw, sent).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"\r\nconnection: close" in head
    request_id = ElementTree.fromstring(body).findtext("RequestId")
    assert f"\r\nx-amz-request-id: {request_id}\r\n".encode() in head
    assert ElementTree.fromstring(body).findtext("Code") == "BadRequest"


def test_a_key_may_stand_in_the_path_as_it_is(raw, s3, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="bücher/€", Body=b"found")
    path = f"/{bucket}/bücher/€"
    headers = raw.signer.headers("GET", f"{raw.endpoint}{path}") | {"connection": "close"}
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]

    came = exchanged(raw, "\r\n".join([*lines, "", ""]).encode())

    assert came.startswith(b"HTTP/1.1 200 OK\r\n")
    assert came.endswith(b"\r\n\r\nfound")


def test_a_body_nobody_wants_must_be_the_one_that_was_signed(raw, s3, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"kept")
    other = hashlib.sha256(b"other").hexdigest()
    copied = {"x-amz-copy-source": f"/{bucket}/a", "x-amz-metadata-directive": "REPLACE"}

    for method, headers in (("DELETE", {}), ("PUT", copied)):
        answer = raw(method, f"/{bucket}/a", headers=headers, body=b"a body", payload_hash=other)
        assert (answer.status, answer.code) == (400, "XAmzContentSHA256Mismatch")
    assert raw("GET", f"/{bucket}/a").body == b"kept"
    assert raw("DELETE", f"/{bucket}/a", body=b"a body").status == 204


def test_a_range_ends_with_the_object_however_far_it_reaches(raw, s3, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"0123456789")

    answer = raw("GET", f"/{bucket}/a", headers={"range": "bytes=3-" + "9" * 40})

    assert (answer.status, answer.body) == (206, b"3456789")
    assert answer.headers["content-range"] == "bytes 3-9/10"


def test_a_client_that_is_still_sending_reads_its_refusal(raw) -> None:
    # More than the gateway reads away, and more than the sockets between them hold.
    body = bytes(48 << 20)

    answer = raw("PUT", "/there-is-no-such-bucket/key", body=body)

    assert answer.code == "NoSuchBucket"
    assert answer.headers["connection"] == "close"
