"""Conditions of PUT and DELETE, judged with the commit."""

import concurrent.futures
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from tests.s3.objects import body_of
from tests.s3.refusals import refused

PAST = datetime(2000, 1, 1, tzinfo=UTC)


def put(s3, bucket: str, body: bytes = b"x", **conditions) -> str:
    return s3.put_object(Bucket=bucket, Key="a", Body=body, **conditions)["ETag"]


def test_create_only_succeeds_once(s3, bucket) -> None:
    put(s3, bucket, b"1", IfNoneMatch="*")

    with refused(412, "PreconditionFailed"):
        put(s3, bucket, b"2", IfNoneMatch="*")
    assert body_of(s3, bucket) == b"1"


def test_create_only_counts_a_delete_marker_as_absence(s3, versioned) -> None:
    put(s3, versioned)
    s3.delete_object(Bucket=versioned, Key="a")

    put(s3, versioned, b"2", IfNoneMatch="*")

    assert body_of(s3, versioned) == b"2"


def test_one_of_many_creators_wins(s3, bucket) -> None:
    def create(number: int) -> int:
        try:
            put(s3, bucket, bytes([number]), IfNoneMatch="*")
        except ClientError as error:
            return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
        return 200

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(create, range(16)))

    assert sorted(set(statuses) - {409}) == [200, 412]
    assert statuses.count(200) == 1
    assert body_of(s3, bucket) == bytes([statuses.index(200)])


def test_if_match_replaces_what_it_names(s3, bucket) -> None:
    etag = put(s3, bucket, b"1")

    put(s3, bucket, b"2", IfMatch=etag)
    put(s3, bucket, b"3", IfMatch="*")

    assert body_of(s3, bucket) == b"3"


def test_if_match_of_another_state_is_refused(s3, bucket) -> None:
    stale = put(s3, bucket, b"1")
    put(s3, bucket, b"2")

    with refused(412, "PreconditionFailed"):
        put(s3, bucket, b"3", IfMatch=stale)
    assert body_of(s3, bucket) == b"2"


@pytest.mark.parametrize("tag", ["*", '"x"'])
def test_if_match_of_nothing_is_not_found(s3, bucket, tag: str) -> None:
    with refused(404, "NoSuchKey"):
        put(s3, bucket, IfMatch=tag)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_if_match_of_a_delete_marker_is_not_found(s3, versioned) -> None:
    etag = put(s3, versioned)
    s3.delete_object(Bucket=versioned, Key="a")

    with refused(404, "NoSuchKey"):
        put(s3, versioned, IfMatch=etag)


def test_if_none_match_of_the_current_tag_is_refused(s3, bucket) -> None:
    etag = put(s3, bucket, b"1")

    with refused(412, "PreconditionFailed"):
        put(s3, bucket, b"2", IfNoneMatch=etag)
    put(s3, bucket, b"3", IfNoneMatch='"other"')
    assert body_of(s3, bucket) == b"3"


def test_a_delete_obeys_its_tag(s3, bucket) -> None:
    etag = put(s3, bucket)

    with refused(412, "PreconditionFailed"):
        s3.delete_object(Bucket=bucket, Key="a", IfMatch='"other"')
    s3.delete_object(Bucket=bucket, Key="a", IfMatch=etag)

    with refused(404, "NoSuchKey"):
        body_of(s3, bucket)


@pytest.mark.parametrize(
    "headers",
    [
        {"if-match": '"x"'},
        {"if-match": "*"},
        {"x-amz-if-match-size": "1"},
        {"x-amz-if-match-last-modified-time": "Sat, 01 Jan 2000 00:00:00 GMT"},
    ],
)
def test_a_conditional_delete_of_nothing_succeeds(raw, bucket, headers) -> None:
    assert raw("DELETE", f"/{bucket}/a", headers=headers).status == 204


def test_a_conditional_delete_of_nothing_leaves_no_marker(s3, versioned) -> None:
    answer = s3.delete_object(Bucket=versioned, Key="a", IfMatch="*")

    assert "DeleteMarker" not in answer
    assert "DeleteMarkers" not in s3.list_object_versions(Bucket=versioned)


def test_a_delete_obeys_size_and_time(s3, raw, bucket) -> None:
    put(s3, bucket)
    modified = s3.head_object(Bucket=bucket, Key="a")["ResponseMetadata"]["HTTPHeaders"][
        "last-modified"
    ]
    path = f"/{bucket}/a"
    time = "x-amz-if-match-last-modified-time"

    assert raw("DELETE", path, headers={"x-amz-if-match-size": "2"}).status == 412
    past = {time: "Sat, 01 Jan 2000 00:00:00 GMT"}
    assert raw("DELETE", path, headers=past).status == 412
    right = {time: modified, "x-amz-if-match-size": "1"}
    assert raw("DELETE", path, headers=right).status == 204


def test_a_delete_of_a_version_is_judged_on_it(s3, versioned) -> None:
    first = s3.put_object(Bucket=versioned, Key="a", Body=b"1")
    second = s3.put_object(Bucket=versioned, Key="a", Body=b"2")

    with refused(412, "PreconditionFailed"):
        s3.delete_object(
            Bucket=versioned, Key="a", VersionId=first["VersionId"], IfMatch=second["ETag"]
        )
    s3.delete_object(Bucket=versioned, Key="a", VersionId=first["VersionId"], IfMatch=first["ETag"])
    assert body_of(s3, versioned) == b"2"


def test_a_delete_marker_matches_no_tag(s3, versioned) -> None:
    etag = put(s3, versioned)
    s3.delete_object(Bucket=versioned, Key="a")

    with refused(412, "PreconditionFailed"):
        s3.delete_object(Bucket=versioned, Key="a", IfMatch=etag)
    s3.delete_object(Bucket=versioned, Key="a", IfMatch="*")


def test_a_condition_nobody_can_read_is_refused(raw, bucket) -> None:
    for headers in (
        {"x-amz-if-match-size": "many"},
        {"x-amz-if-match-size": "9223372036854775808"},
        {"x-amz-if-match-last-modified-time": "yesterday"},
        {"x-amz-if-match-last-modified-time": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"},
    ):
        answer = raw("DELETE", f"/{bucket}/a", headers=headers)
        assert (answer.status, answer.code) == (400, "InvalidArgument")
