"""DeleteObjects."""

import base64
import hashlib

import pytest

from tests.s3.refusals import refused


def delete(s3, bucket: str, *objects: dict, quiet: bool = False) -> dict:
    return s3.delete_objects(Bucket=bucket, Delete={"Objects": list(objects), "Quiet": quiet})


def test_many_keys_are_deleted_at_once(s3, bucket) -> None:
    keys = [f"key-{number}" for number in range(20)]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")

    answer = delete(s3, bucket, *({"Key": key} for key in keys))

    assert [one["Key"] for one in answer["Deleted"]] == keys
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_missing_keys_count_as_deleted(s3, bucket) -> None:
    answer = delete(s3, bucket, {"Key": "never"})

    assert answer["Deleted"] == [{"Key": "never"}]


def test_a_quiet_request_hears_nothing_of_successes(s3, bucket) -> None:
    answer = delete(s3, bucket, {"Key": "never"}, quiet=True)

    assert "Deleted" not in answer


def test_versioned_deletes_name_their_markers(s3, versioned) -> None:
    s3.put_object(Bucket=versioned, Key="a", Body=b"x")

    (deleted,) = delete(s3, versioned, {"Key": "a"})["Deleted"]

    marker = s3.list_object_versions(Bucket=versioned)["DeleteMarkers"][0]["VersionId"]
    assert (deleted["DeleteMarker"], deleted["DeleteMarkerVersionId"]) == (True, marker)


def test_a_version_is_removed_by_its_id(s3, versioned) -> None:
    version = s3.put_object(Bucket=versioned, Key="a", Body=b"x")["VersionId"]

    answer = delete(s3, versioned, {"Key": "a", "VersionId": version})

    assert answer["Deleted"] == [{"Key": "a", "VersionId": version}]
    assert "Versions" not in s3.list_object_versions(Bucket=versioned)


def test_removing_a_marker_says_so(s3, versioned) -> None:
    marker = s3.delete_object(Bucket=versioned, Key="a")["VersionId"]

    (deleted,) = delete(s3, versioned, {"Key": "a", "VersionId": marker})["Deleted"]

    assert deleted == {
        "Key": "a",
        "VersionId": marker,
        "DeleteMarker": True,
        "DeleteMarkerVersionId": marker,
    }


def test_a_malformed_version_fails_alone(s3, versioned) -> None:
    answer = delete(s3, versioned, {"Key": "a", "VersionId": "nonsense"}, {"Key": "b"})

    assert [one["Key"] for one in answer["Errors"]] == ["a"]
    assert [one["Key"] for one in answer["Deleted"]] == ["b"]


def test_a_key_that_is_too_long_fails_alone(s3, bucket) -> None:
    answer = delete(s3, bucket, {"Key": "a" * 1025}, {"Key": "b"})

    assert [one["Code"] for one in answer["Errors"]] == ["KeyTooLongError"]
    assert [one["Key"] for one in answer["Deleted"]] == ["b"]


def test_more_than_a_thousand_keys_are_refused(s3, bucket) -> None:
    with refused(400, "MalformedXML"):
        delete(s3, bucket, *({"Key": str(number)} for number in range(1001)))


@pytest.mark.parametrize("body", [b"", b"<Delete/>", b"<Delete><Object/></Delete>", b"<Delete>"])
def test_a_body_that_lists_nothing_is_refused(raw, bucket, body: bytes) -> None:
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()

    answer = raw("POST", f"/{bucket}?delete", headers={"content-md5": md5}, body=body)

    assert (answer.status, answer.code) == (400, "MalformedXML")


def test_a_body_nobody_vouches_for_is_refused(raw, bucket) -> None:
    body = b"<Delete><Object><Key>a</Key></Object></Delete>"

    answer = raw("POST", f"/{bucket}?delete", body=body)

    assert (answer.status, answer.code) == (400, "InvalidRequest")


def test_a_digest_that_differs_is_refused(raw, bucket) -> None:
    body = b"<Delete><Object><Key>a</Key></Object></Delete>"
    md5 = base64.b64encode(hashlib.md5(b"other").digest()).decode()

    answer = raw("POST", f"/{bucket}?delete", headers={"content-md5": md5}, body=body)

    assert (answer.status, answer.code) == (400, "BadDigest")


@pytest.mark.parametrize("condition", [{"ETag": "x"}, {"Size": 7}])
def test_a_condition_is_judged_per_key(s3, bucket, condition: dict) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")

    answer = delete(s3, bucket, {"Key": "a", **condition}, {"Key": "b"})

    assert [(one["Key"], one["Code"]) for one in answer["Errors"]] == [("a", "PreconditionFailed")]
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"x"


def test_conditions_that_hold_let_keys_go(s3, bucket) -> None:
    etag = s3.put_object(Bucket=bucket, Key="a", Body=b"x")["ETag"]
    modified = s3.head_object(Bucket=bucket, Key="a")["LastModified"]

    answer = delete(s3, bucket, {"Key": "a", "ETag": etag, "Size": 1, "LastModifiedTime": modified})

    assert [one["Key"] for one in answer["Deleted"]] == ["a"]


@pytest.mark.parametrize("key", ["a b", "é", "a\nb", "<&>", "a/../b"])
def test_any_key_is_deleted_as_it_is_named(s3, bucket, key: str) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")

    assert [one["Key"] for one in delete(s3, bucket, {"Key": key})["Deleted"]] == [key]
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize(
    "condition",
    [
        f"<Size>{'9' * 5000}</Size>",
        "<Size>9223372036854775808</Size>",
        "<Size>-1</Size>",
        "<LastModifiedTime>Mon, 01 Jan 99999999999999999999 00:00:00 GMT</LastModifiedTime>",
        "<LastModifiedTime>0001-01-01T00:00:00+14:00</LastModifiedTime>",
        "<LastModifiedTime>yesterday</LastModifiedTime>",
    ],
)
def test_a_condition_nobody_can_meet_or_read_is_refused(raw, s3, bucket, condition: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    body = f"<Delete><Object><Key>a</Key>{condition}</Object></Delete>".encode()
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()

    answer = raw("POST", f"/{bucket}?delete", headers={"content-md5": md5}, body=body)

    assert (answer.status, answer.code) == (400, "MalformedXML")
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"x"
