"""What every answer has, and what S3 promises of errors."""

from __future__ import annotations

import pytest

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
