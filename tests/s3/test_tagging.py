"""The tags of objects."""

import pytest

from tests.s3.refusals import refused
from tests.s3.uploads import upload_of


def tags_of(s3, bucket: str, **options) -> list[dict]:
    return s3.get_object_tagging(Bucket=bucket, Key="a", **options)["TagSet"]


def put_tags(s3, bucket: str, tags: dict[str, str], **options) -> None:
    tag_set = [{"Key": key, "Value": value} for key, value in tags.items()]
    s3.put_object_tagging(Bucket=bucket, Key="a", Tagging={"TagSet": tag_set}, **options)


@pytest.fixture
def filled(s3, bucket: str) -> str:
    s3.put_object(Bucket=bucket, Key="a", Body=b"content")
    return bucket


def test_an_untagged_object_has_an_empty_set(s3, filled) -> None:
    assert tags_of(s3, filled) == []


def test_a_set_replaces_the_one_before(s3, filled) -> None:
    put_tags(s3, filled, {"a": "1", "b": ""})
    put_tags(s3, filled, {"c": "3"})

    assert tags_of(s3, filled) == [{"Key": "c", "Value": "3"}]


def test_tags_are_counted_on_reads_and_change_nothing_else(s3, filled) -> None:
    before = s3.head_object(Bucket=filled, Key="a")

    put_tags(s3, filled, {"a": "1", "b": "2"})

    after = s3.head_object(Bucket=filled, Key="a")
    assert after["ResponseMetadata"]["HTTPHeaders"]["x-amz-tagging-count"] == "2"
    assert (after["ETag"], after["LastModified"]) == (before["ETag"], before["LastModified"])


def test_deleted_tags_are_gone(s3, filled) -> None:
    put_tags(s3, filled, {"a": "1"})

    answer = s3.delete_object_tagging(Bucket=filled, Key="a")

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert tags_of(s3, filled) == []


def test_a_put_brings_tags_along(s3, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"", Tagging="a=1&b=x%20y")

    assert tags_of(s3, bucket) == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "x y"}]


def test_ten_tags_of_full_length_are_kept(s3, filled) -> None:
    tags = {f"{number}".ljust(128, "k"): "v" * 256 for number in range(10)}

    put_tags(s3, filled, tags)

    assert {tag["Key"]: tag["Value"] for tag in tags_of(s3, filled)} == tags


@pytest.mark.parametrize(
    "tags",
    [
        {str(number): "" for number in range(11)},
        {"k" * 129: ""},
        {"k": "v" * 257},
        {"aws:mine": "v"},
    ],
)
def test_tags_beyond_the_limits_are_refused_and_none_is_kept(s3, filled, tags) -> None:
    with refused(400, "InvalidTag"):
        put_tags(s3, filled, tags)
    assert tags_of(s3, filled) == []


@pytest.mark.parametrize("keys", [["a", "a"], [""]])
def test_keys_given_twice_or_empty_are_refused(raw, filled, keys: list[str]) -> None:
    tags = "".join(f"<Tag><Key>{key}</Key><Value>1</Value></Tag>" for key in keys)
    body = f"<Tagging><TagSet>{tags}</TagSet></Tagging>".encode()

    answer = raw("PUT", f"/{filled}/a?tagging", body=body)

    assert (answer.status, answer.code) == (400, "InvalidTag")


def test_tags_belong_to_a_version(s3, versioned) -> None:
    first = s3.put_object(Bucket=versioned, Key="a", Body=b"1")["VersionId"]
    s3.put_object(Bucket=versioned, Key="a", Body=b"2")

    put_tags(s3, versioned, {"a": "1"}, VersionId=first)

    assert tags_of(s3, versioned) == []
    assert tags_of(s3, versioned, VersionId=first) == [{"Key": "a", "Value": "1"}]


def test_tags_of_nothing_are_not_found(s3, bucket) -> None:
    with refused(404, "NoSuchKey"):
        put_tags(s3, bucket, {"a": "1"})


def test_an_upload_holds_tags_for_its_object(s3, bucket) -> None:
    upload_of(s3, bucket, b"x", Tagging="a=1")

    assert tags_of(s3, bucket) == [{"Key": "a", "Value": "1"}]


@pytest.mark.parametrize("header", ["a=%00", "%00=a", "a=%ff", "a=\xff"])
def test_a_header_of_tags_that_are_no_text_is_refused(raw, bucket, header: str) -> None:
    answer = raw("PUT", f"/{bucket}/a", headers={"x-amz-tagging": header})

    assert (answer.status, answer.code) == (400, "InvalidTag")


@pytest.mark.parametrize("sent", ["%C3%A9+%2B", "\xc3\xa9+%2B"])
def test_tags_in_a_header_are_utf8_escaped_or_not(raw, s3, bucket, sent: str) -> None:
    assert raw("PUT", f"/{bucket}/a", headers={"x-amz-tagging": f"a={sent}"}).status == 200

    assert tags_of(s3, bucket) == [{"Key": "a", "Value": "é +"}]


def test_a_document_is_judged_before_existence(raw, bucket) -> None:
    answer = raw("PUT", f"/{bucket}/never?tagging", body=b"<Tagging>")

    assert (answer.status, answer.code) == (400, "MalformedXML")
