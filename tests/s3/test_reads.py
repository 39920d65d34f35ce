"""Ranges, conditions and overrides of GET and HEAD."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.s3.refusals import refused

CONTENT = b"0123456789"
PAST = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture
def key(s3, bucket: str) -> str:
    s3.put_object(Bucket=bucket, Key="digits", Body=CONTENT, CacheControl="max-age=1")
    return "digits"


@pytest.mark.parametrize(
    ("asked", "body", "shown"),
    [
        ("bytes=4-7", b"4567", "bytes 4-7/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("bytes=8-100", b"89", "bytes 8-9/10"),
        ("bytes=-100", CONTENT, "bytes 0-9/10"),
    ],
)
def test_a_range_is_answered(raw, bucket, key, asked: str, body: bytes, shown: str) -> None:
    answer = raw("GET", f"/{bucket}/{key}", headers={"range": asked})

    assert (answer.status, answer.body) == (206, body)
    assert answer.headers["content-range"] == shown
    assert answer.headers["content-length"] == str(len(body))


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=50-60", "bytes=-0"])
def test_a_range_outside_is_refused(raw, bucket, key, asked: str) -> None:
    answer = raw("GET", f"/{bucket}/{key}", headers={"range": asked})

    assert (answer.status, answer.code) == (416, "InvalidRange")
    assert answer.xml.findtext("ActualObjectSize") == "10"


@pytest.mark.parametrize("asked", ["bytes=a-b", "bytes=3-1", "bytes=1-2,4-5", "lines=1-2", "1-2"])
def test_a_range_that_means_nothing_is_ignored(raw, bucket, key, asked: str) -> None:
    answer = raw("GET", f"/{bucket}/{key}", headers={"range": asked})

    assert (answer.status, answer.body) == (200, CONTENT)


def test_a_range_of_an_empty_object_is_refused(raw, s3, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")

    assert raw("GET", f"/{bucket}/empty", headers={"range": "bytes=0-1"}).status == 416


def test_a_range_of_a_large_object_is_cut_right(s3, bucket) -> None:
    content = b"".join(number.to_bytes(4, "big") for number in range(1_000_000))
    s3.put_object(Bucket=bucket, Key="large", Body=content)

    answer = s3.get_object(Bucket=bucket, Key="large", Range="bytes=1048570-2097160")

    assert answer["Body"].read() == content[1048570:2097161]


def test_head_answers_a_range_like_get(raw, bucket, key) -> None:
    answer = raw("HEAD", f"/{bucket}/{key}", headers={"range": "bytes=2-5"})

    assert (answer.status, answer.headers["content-length"]) == (206, "4")


def test_if_range_with_another_tag_gives_the_whole(raw, bucket, key) -> None:
    answer = raw("GET", f"/{bucket}/{key}", headers={"range": "bytes=0-1", "if-range": '"x"'})

    assert (answer.status, answer.body) == (200, CONTENT)


def test_if_range_with_the_tag_gives_the_range(raw, s3, bucket, key) -> None:
    etag = s3.head_object(Bucket=bucket, Key=key)["ETag"]

    answer = raw("GET", f"/{bucket}/{key}", headers={"range": "bytes=0-1", "if-range": etag})

    assert (answer.status, answer.body) == (206, b"01")


def test_part_one_of_a_plain_object_is_the_whole(s3, bucket, key) -> None:
    answer = s3.get_object(Bucket=bucket, Key=key, PartNumber=1)

    assert answer["Body"].read() == CONTENT
    assert "PartsCount" not in answer


def test_part_two_of_a_plain_object_is_not_there(s3, bucket, key) -> None:
    with refused(416, "InvalidPartNumber"):
        s3.get_object(Bucket=bucket, Key=key, PartNumber=2)


@pytest.mark.parametrize("number", ["0", "10001", "one"])
def test_a_part_number_out_of_bounds_is_refused(raw, bucket, key, number: str) -> None:
    answer = raw("GET", f"/{bucket}/{key}?partNumber={number}")

    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_a_range_and_a_part_number_exclude_each_other(raw, bucket, key) -> None:
    answer = raw("GET", f"/{bucket}/{key}?partNumber=0", headers={"range": "bytes=0-1"})

    assert (answer.status, answer.code) == (400, "InvalidRequest")


def test_if_match_lets_the_right_tag_pass(s3, bucket, key) -> None:
    etag = s3.head_object(Bucket=bucket, Key=key)["ETag"]

    for tag in (etag, etag.strip('"'), "*", f'"other", {etag}', f"W/{etag}"):
        assert s3.get_object(Bucket=bucket, Key=key, IfMatch=tag)["Body"].read() == CONTENT


def test_if_match_stops_another_tag(raw, bucket, key) -> None:
    answer = raw("GET", f"/{bucket}/{key}", headers={"if-match": '"other"'})

    assert (answer.status, answer.code) == (412, "PreconditionFailed")
    assert answer.xml.findtext("Condition") == "If-Match"


def test_if_none_match_answers_304_with_the_tag_and_no_body(raw, s3, bucket, key) -> None:
    etag = s3.head_object(Bucket=bucket, Key=key)["ETag"]

    answer = raw("GET", f"/{bucket}/{key}", headers={"if-none-match": etag})

    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers["etag"] == etag
    assert answer.headers["cache-control"] == "max-age=1"
    assert "content-type" not in answer.headers


def test_dates_decide_when_there_are_no_tags(s3, bucket, key) -> None:
    assert s3.get_object(Bucket=bucket, Key=key, IfModifiedSince=PAST)["Body"].read() == CONTENT
    with refused(412, "PreconditionFailed"):
        s3.get_object(Bucket=bucket, Key=key, IfUnmodifiedSince=PAST)


def test_what_is_not_newer_is_304(s3, bucket, key) -> None:
    modified = s3.head_object(Bucket=bucket, Key=key)["LastModified"]

    with refused(304, "304"):
        s3.get_object(Bucket=bucket, Key=key, IfModifiedSince=modified)


def test_a_date_to_come_is_ignored(s3, bucket, key) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)

    assert s3.get_object(Bucket=bucket, Key=key, IfModifiedSince=tomorrow)["Body"].read()


def test_a_matching_tag_outweighs_an_old_date(s3, bucket, key) -> None:
    etag = s3.head_object(Bucket=bucket, Key=key)["ETag"]

    answer = s3.get_object(Bucket=bucket, Key=key, IfMatch=etag, IfUnmodifiedSince=PAST)

    assert answer["Body"].read() == CONTENT


def test_a_matching_none_match_outweighs_a_new_date(s3, bucket, key) -> None:
    etag = s3.head_object(Bucket=bucket, Key=key)["ETag"]

    with refused(304, "304"):
        s3.get_object(Bucket=bucket, Key=key, IfNoneMatch=etag, IfModifiedSince=PAST)


def test_a_differing_none_match_outweighs_an_unchanged_date(s3, bucket, key) -> None:
    modified = s3.head_object(Bucket=bucket, Key=key)["LastModified"]

    answer = s3.get_object(Bucket=bucket, Key=key, IfNoneMatch='"x"', IfModifiedSince=modified)

    assert answer["Body"].read() == CONTENT


def test_absence_is_judged_before_conditions(s3, bucket) -> None:
    with refused(404, "NoSuchKey"):
        s3.get_object(Bucket=bucket, Key="never", IfMatch='"x"')


def test_a_customers_key_for_a_plain_object_is_refused(raw, bucket, key) -> None:
    headers = {"x-amz-server-side-encryption-customer-algorithm": "AES256"}

    assert raw("GET", f"/{bucket}/{key}", headers=headers).status == 400


def test_a_part_number_is_judged_before_existence(raw, bucket) -> None:
    assert raw("GET", f"/{bucket}/never?partNumber=0").code == "InvalidArgument"
    assert raw("GET", f"/{bucket}/never?partNumber=1").code == "NoSuchKey"
