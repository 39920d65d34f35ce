"""ListParts and ListMultipartUploads."""

from tests.s3.refusals import refused
from tests.s3.uploads import begin, send


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
