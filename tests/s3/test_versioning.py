"""Versions, delete markers, the null version, suspended buckets."""

import concurrent.futures

import pytest

from tests.s3.objects import body_of
from tests.s3.refusals import refused

SUSPENDED = {"Status": "Suspended"}
ENABLED = {"Status": "Enabled"}


def suspend(s3, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=SUSPENDED)


def put(s3, bucket: str, body: bytes, key: str = "a") -> str | None:
    return s3.put_object(Bucket=bucket, Key=key, Body=body).get("VersionId")


def test_a_fresh_bucket_has_no_status(s3, bucket) -> None:
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)


def test_the_status_is_enabled_and_suspended(s3, bucket) -> None:
    for status in ("Enabled", "Suspended", "Enabled"):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == status


def test_another_status_is_refused(raw, bucket) -> None:
    body = b"<VersioningConfiguration><Status>Off</Status></VersioningConfiguration>"

    answer = raw("PUT", f"/{bucket}?versioning", body=body)

    assert (answer.status, answer.code) == (400, "MalformedXML")


def test_unversioned_answers_name_no_version(s3, bucket) -> None:
    put(s3, bucket, b"1")

    assert "VersionId" not in s3.head_object(Bucket=bucket, Key="a")
    assert "DeleteMarker" not in s3.delete_object(Bucket=bucket, Key="a")


def test_each_put_is_a_version_of_its_own(s3, versioned) -> None:
    first, second = put(s3, versioned, b"1"), put(s3, versioned, b"2")

    assert first != second
    assert body_of(s3, versioned) == b"2"
    assert body_of(s3, versioned, version_id=first) == b"1"


def test_an_object_from_before_is_the_null_version(s3, bucket) -> None:
    put(s3, bucket, b"before")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=ENABLED)
    put(s3, bucket, b"after")

    assert body_of(s3, bucket, version_id="null") == b"before"


def test_a_delete_leaves_a_marker(s3, versioned) -> None:
    put(s3, versioned, b"1")

    deleted = s3.delete_object(Bucket=versioned, Key="a")

    assert deleted["DeleteMarker"] is True
    with refused(404, "NoSuchKey") as answer:
        s3.get_object(Bucket=versioned, Key="a")
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amz-delete-marker"] == "true"
    assert headers["x-amz-version-id"] == deleted["VersionId"]


def test_markers_stack(s3, versioned) -> None:
    first = s3.delete_object(Bucket=versioned, Key="a")["VersionId"]
    second = s3.delete_object(Bucket=versioned, Key="a")["VersionId"]

    assert first != second
    assert len(s3.list_object_versions(Bucket=versioned)["DeleteMarkers"]) == 2


def test_a_marker_is_no_object(s3, versioned) -> None:
    marker = s3.delete_object(Bucket=versioned, Key="a")["VersionId"]

    with refused(405, "MethodNotAllowed") as answer:
        s3.get_object(Bucket=versioned, Key="a", VersionId=marker)
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amz-delete-marker"] == "true"
    assert "last-modified" in headers


def test_removing_the_marker_brings_the_object_back(s3, versioned) -> None:
    put(s3, versioned, b"1")
    marker = s3.delete_object(Bucket=versioned, Key="a")["VersionId"]

    removed = s3.delete_object(Bucket=versioned, Key="a", VersionId=marker)

    assert (removed["DeleteMarker"], removed["VersionId"]) == (True, marker)
    assert body_of(s3, versioned) == b"1"


def test_removing_the_newest_version_uncovers_the_older(s3, versioned) -> None:
    put(s3, versioned, b"1")
    newest = put(s3, versioned, b"2")

    removed = s3.delete_object(Bucket=versioned, Key="a", VersionId=newest)

    assert removed["VersionId"] == newest
    assert "DeleteMarker" not in removed
    assert body_of(s3, versioned) == b"1"


def test_a_removed_version_is_gone_for_good(s3, versioned) -> None:
    version = put(s3, versioned, b"1")
    s3.delete_object(Bucket=versioned, Key="a", VersionId=version)

    with refused(404, "NoSuchVersion"):
        s3.get_object(Bucket=versioned, Key="a", VersionId=version)
    assert s3.delete_object(Bucket=versioned, Key="a", VersionId=version)["VersionId"] == version


@pytest.mark.parametrize("version_id", ["", "nonsense", "0" * 31])
def test_a_malformed_version_is_refused(raw, versioned, version_id: str) -> None:
    for method in ("GET", "DELETE"):
        answer = raw(method, f"/{versioned}/a?versionId={version_id}")
        assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_suspended_puts_replace_the_null_version_only(s3, versioned) -> None:
    kept = put(s3, versioned, b"kept")
    suspend(s3, versioned)

    assert put(s3, versioned, b"1") is None
    put(s3, versioned, b"2")

    assert body_of(s3, versioned) == b"2"
    assert body_of(s3, versioned, version_id="null") == b"2"
    assert body_of(s3, versioned, version_id=kept) == b"kept"
    assert len(s3.list_object_versions(Bucket=versioned)["Versions"]) == 2


def test_a_suspended_delete_puts_a_null_marker(s3, versioned) -> None:
    kept = put(s3, versioned, b"kept")
    suspend(s3, versioned)
    put(s3, versioned, b"1")

    deleted = s3.delete_object(Bucket=versioned, Key="a")

    assert (deleted["DeleteMarker"], deleted["VersionId"]) == (True, "null")
    listed = s3.list_object_versions(Bucket=versioned)
    assert [one["VersionId"] for one in listed["Versions"]] == [kept]
    assert [one["VersionId"] for one in listed["DeleteMarkers"]] == ["null"]


def test_removing_the_null_version_leaves_the_others(s3, bucket) -> None:
    put(s3, bucket, b"null")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=ENABLED)
    kept = put(s3, bucket, b"kept")

    s3.delete_object(Bucket=bucket, Key="a", VersionId="null")

    listed = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert [one["VersionId"] for one in listed] == [kept]


def test_concurrent_puts_are_all_kept(s3, versioned) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda number: put(s3, versioned, bytes([number])), range(24)))

    listed = s3.list_object_versions(Bucket=versioned)["Versions"]

    assert {one["VersionId"] for one in listed} == set(ids)
    assert [one["IsLatest"] for one in listed] == [True] + [False] * 23


def test_concurrent_removals_of_one_version_all_succeed(s3, versioned) -> None:
    version = put(s3, versioned, b"1")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda _: s3.delete_object(Bucket=versioned, Key="a", VersionId=version), range(8)
            )
        )

    assert {answer["ResponseMetadata"]["HTTPStatusCode"] for answer in answers} == {204}
    assert "Versions" not in s3.list_object_versions(Bucket=versioned)


def test_an_id_of_zeros_is_no_version_and_not_the_null_one(raw, s3, bucket) -> None:
    put(s3, bucket, b"1")
    path = f"/{bucket}/a?versionId={'0' * 32}"

    assert raw("GET", path).code == "NoSuchVersion"
    assert raw("DELETE", path).status == 204
    assert body_of(s3, bucket, version_id="null") == b"1"
