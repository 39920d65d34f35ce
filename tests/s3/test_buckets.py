"""Creating, finding, listing and deleting buckets."""

from urllib.parse import quote

import pytest

from tests.s3.accounts import Account
from tests.s3.refusals import refused


def test_a_created_bucket_is_found_and_listed(s3, bucket: str) -> None:
    assert s3.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert bucket in [one["Name"] for one in s3.list_buckets()["Buckets"]]


def test_head_tells_the_region(s3, bucket: str) -> None:
    assert s3.head_bucket(Bucket=bucket)["BucketRegion"] == "us-east-1"


def test_creation_answers_with_its_location(raw, name: str) -> None:
    answer = raw("PUT", f"/{name}")

    assert (answer.status, answer.headers["location"]) == (200, f"/{name}")


@pytest.mark.parametrize(
    "bad", ["ab", "-ab", "ab-", "a_b", "Abc", "a..b", "a.-b", "a-.b", "192.168.5.4", "a" * 64]
)
def test_a_name_s3_forbids_is_refused(raw, bad: str) -> None:
    answer = raw("PUT", f"/{bad}")

    assert (answer.status, answer.code) == (400, "InvalidBucketName")


@pytest.mark.parametrize("taken", ["health", "ready"])
def test_the_names_of_the_gateway_itself_are_no_buckets(raw, taken: str) -> None:
    answer = raw("PUT", f"/{taken}")

    assert (answer.status, answer.code) == (400, "InvalidBucketName")


def test_creating_ones_own_bucket_again_keeps_what_is_in_it(s3, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"kept")

    s3.create_bucket(Bucket=bucket)

    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"kept"


def test_creating_ones_own_bucket_otherwise_is_refused(s3, bucket: str) -> None:
    with refused(409, "BucketAlreadyOwnedByYou"):
        s3.create_bucket(Bucket=bucket, ACL="public-read")


def test_a_name_another_has_taken_is_refused(other_s3, bucket: str) -> None:
    with refused(409, "BucketAlreadyExists"):
        other_s3.create_bucket(Bucket=bucket)


def test_an_unknown_location_is_refused(s3) -> None:
    with refused(400, "InvalidLocationConstraint"):
        s3.create_bucket(
            Bucket="nowhere", CreateBucketConfiguration={"LocationConstraint": "mars-1"}
        )


def test_a_broken_creation_document_is_refused(raw) -> None:
    answer = raw("PUT", "/broken-document", body=b"<CreateBucketConfiguration>")

    assert (answer.status, answer.code) == (400, "MalformedXML")


def test_an_unknown_canned_acl_is_refused(raw) -> None:
    answer = raw("PUT", "/odd-acl", headers={"x-amz-acl": "public-ready"})

    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_an_unknown_ownership_is_refused(raw) -> None:
    answer = raw("PUT", "/odd-ownership", headers={"x-amz-object-ownership": "Nobody"})

    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_object_lock_is_not_pretended(raw) -> None:
    answer = raw("PUT", "/locked", headers={"x-amz-bucket-object-lock-enabled": "true"})

    assert (answer.status, answer.code) == (501, "NotImplemented")


def test_ownership_controls_are_kept_and_shown(s3, name: str) -> None:
    s3.create_bucket(Bucket=name, ObjectOwnership="BucketOwnerEnforced")

    shown = s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]

    assert shown == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def test_lists_have_no_force_where_ownership_is_enforced(s3, name: str) -> None:
    s3.create_bucket(Bucket=name, ObjectOwnership="BucketOwnerEnforced")

    with refused(400, "AccessControlListNotSupported"):
        s3.put_object(Bucket=name, Key="a", Body=b"", ACL="public-read")


def test_the_location_of_the_first_region_is_empty(s3, bucket: str) -> None:
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None


def test_a_bucket_with_an_object_is_not_deleted(s3, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"")

    with refused(409, "BucketNotEmpty"):
        s3.delete_bucket(Bucket=bucket)


def test_a_bucket_with_only_a_delete_marker_is_not_deleted(s3, versioned: str) -> None:
    s3.delete_object(Bucket=versioned, Key="a")

    with refused(409, "BucketNotEmpty"):
        s3.delete_bucket(Bucket=versioned)


def test_an_open_upload_does_not_keep_a_bucket(s3, bucket: str) -> None:
    s3.create_multipart_upload(Bucket=bucket, Key="a")

    s3.delete_bucket(Bucket=bucket)

    with refused(404, "NoSuchBucket"):
        s3.list_objects_v2(Bucket=bucket)


def test_a_deleted_bucket_is_gone_for_reads_and_writes(s3, bucket: str) -> None:
    s3.delete_bucket(Bucket=bucket)

    with refused(404, "NoSuchBucket"):
        s3.put_object(Bucket=bucket, Key="a", Body=b"")
    with refused(404, "NoSuchBucket"):
        s3.get_object(Bucket=bucket, Key="a")


def test_deleting_a_missing_bucket_is_refused(s3) -> None:
    with refused(404, "NoSuchBucket"):
        s3.delete_bucket(Bucket="never-created")


def test_the_error_of_a_missing_bucket_names_it(raw) -> None:
    answer = raw("GET", "/never-created")

    assert answer.xml.findtext("BucketName") == "never-created"


def test_the_service_listing_names_owner_and_regions(s3, account: Account, bucket: str) -> None:
    listed = s3.list_buckets(Prefix=bucket)

    assert listed["Owner"]["ID"] == account.canonical_id
    assert [one["BucketRegion"] for one in listed["Buckets"] if one["Name"] == bucket] == [
        "us-east-1"
    ]


def test_the_service_listing_pages_by_name(s3, name: str) -> None:
    names = [f"{name}-{letter}" for letter in "abc"]
    for one in reversed(names):
        s3.create_bucket(Bucket=one)

    first = s3.list_buckets(Prefix=f"{name}-", MaxBuckets=2)
    rest = s3.list_buckets(Prefix=f"{name}-", ContinuationToken=first["ContinuationToken"])

    assert [one["Name"] for one in first["Buckets"]] == names[:2]
    assert [one["Name"] for one in rest["Buckets"]] == names[2:]
    assert "ContinuationToken" not in rest


@pytest.mark.parametrize("token", ["AA==", "//8=", "QQ==", "nonsense!"])
def test_the_service_listing_refuses_a_damaged_token(raw, token: str) -> None:
    answer = raw("GET", f"/?continuation-token={quote(token, safe='')}")

    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_no_bucket_begins_with_a_nul(raw) -> None:
    answer = raw("GET", "/?prefix=%00")

    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_the_service_listing_is_in_the_order_of_bytes(s3, name: str) -> None:
    names = [f"{name}-x{rest}" for rest in ("-0", "-a", ".a", "0", "a", "a-a", "aa")]
    for one in reversed(names):
        s3.create_bucket(Bucket=one)

    shown = [one["Name"] for one in s3.list_buckets(Prefix=f"{name}-x")["Buckets"]]

    assert shown == names


def test_strangers_buckets_are_not_listed(other_s3, bucket: str) -> None:
    assert bucket not in [one["Name"] for one in other_s3.list_buckets()["Buckets"]]


def test_nobody_lists_buckets_unsigned(raw) -> None:
    answer = raw.unsigned("GET", "/")

    assert (answer.status, answer.code) == (403, "AccessDenied")


def test_a_creation_date_stays(s3, bucket: str) -> None:
    def created() -> list[object]:
        return [
            one["CreationDate"]
            for one in s3.list_buckets(Prefix=bucket)["Buckets"]
            if one["Name"] == bucket
        ]

    before = created()
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

    assert created() == before


def test_the_tags_of_a_bucket_are_kept_and_forgotten(s3, bucket: str) -> None:
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags

    s3.delete_bucket_tagging(Bucket=bucket)

    with refused(404, "NoSuchTagSet"):
        s3.get_bucket_tagging(Bucket=bucket)
