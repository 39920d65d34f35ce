"""Access control lists: checked, kept and shown; grants to others have no effect."""

import pytest

from tests.s3.refusals import refused

ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"


def grants(shown: dict) -> set[tuple[str, str]]:
    return {
        (grant["Grantee"].get("ID") or grant["Grantee"]["URI"], grant["Permission"])
        for grant in shown["Grants"]
    }


def test_a_fresh_bucket_is_its_owners_alone(s3, account, bucket) -> None:
    shown = s3.get_bucket_acl(Bucket=bucket)

    assert shown["Owner"]["ID"] == account.canonical_id
    assert grants(shown) == {(account.canonical_id, "FULL_CONTROL")}


def test_a_canned_list_of_a_bucket_is_shown(s3, account, bucket) -> None:
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")

    assert grants(s3.get_bucket_acl(Bucket=bucket)) == {
        (account.canonical_id, "FULL_CONTROL"),
        (ALL_USERS, "READ"),
        (ALL_USERS, "WRITE"),
    }
    s3.put_bucket_acl(Bucket=bucket, ACL="private")
    assert len(s3.get_bucket_acl(Bucket=bucket)["Grants"]) == 1


def test_a_canned_list_is_given_at_creation(s3, name: str) -> None:
    s3.create_bucket(Bucket=name, ACL="public-read")

    assert (ALL_USERS, "READ") in grants(s3.get_bucket_acl(Bucket=name))


def test_a_list_of_an_object_leaves_the_object_as_it_was(s3, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"x", ContentType="a/b")
    before = s3.head_object(Bucket=bucket, Key="a")

    s3.put_object_acl(Bucket=bucket, Key="a", ACL="public-read")

    after = s3.head_object(Bucket=bucket, Key="a")
    assert (ALL_USERS, "READ") in grants(s3.get_object_acl(Bucket=bucket, Key="a"))
    assert [after[name] for name in ("ETag", "LastModified", "ContentType")] == [
        before[name] for name in ("ETag", "LastModified", "ContentType")
    ]


def test_a_list_comes_with_the_object(s3, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"x", ACL="public-read")

    assert (ALL_USERS, "READ") in grants(s3.get_object_acl(Bucket=bucket, Key="a"))


def test_a_list_sent_as_a_document_that_is_canned_is_kept(s3, bucket) -> None:
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    shown = s3.get_bucket_acl(Bucket=bucket)
    s3.put_bucket_acl(Bucket=bucket, ACL="private")

    policy = {"Owner": shown["Owner"], "Grants": shown["Grants"]}
    s3.put_bucket_acl(Bucket=bucket, AccessControlPolicy=policy)

    assert grants(s3.get_bucket_acl(Bucket=bucket)) == grants(shown)


def test_other_grants_are_not_pretended(s3, other_account, account, bucket) -> None:
    grantee = {"Type": "CanonicalUser", "ID": other_account.canonical_id}
    policy = {
        "Owner": {"ID": account.canonical_id},
        "Grants": [{"Grantee": grantee, "Permission": "READ"}],
    }

    with refused(501, "NotImplemented"):
        s3.put_bucket_acl(Bucket=bucket, AccessControlPolicy=policy)
    with refused(501, "NotImplemented"):
        s3.put_bucket_acl(Bucket=bucket, GrantRead=f"id={other_account.canonical_id}")
    assert len(s3.get_bucket_acl(Bucket=bucket)["Grants"]) == 1


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({"x-amz-acl": "public-ready"}, b"", "InvalidArgument"),
        ({"x-amz-acl": "private", "x-amz-grant-read": "id=a"}, b"", "InvalidRequest"),
        ({}, b"", "MissingSecurityHeader"),
        ({}, b"<AccessControlPolicy/>", "MalformedACLError"),
        ({}, b"<Other/>", "MalformedACLError"),
        ({"x-amz-acl": "private"}, b"<AccessControlPolicy/>", "UnexpectedContent"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused(raw, bucket, headers, body, code: str) -> None:
    answer = raw("PUT", f"/{bucket}?acl", headers=headers, body=body)

    assert (answer.status, answer.code) == (400, code)


def test_the_list_of_a_version_is_its_own(s3, versioned) -> None:
    first = s3.put_object(Bucket=versioned, Key="a", Body=b"1")["VersionId"]
    s3.put_object(Bucket=versioned, Key="a", Body=b"2")

    s3.put_object_acl(Bucket=versioned, Key="a", ACL="public-read")

    assert len(s3.get_object_acl(Bucket=versioned, Key="a")["Grants"]) == 2
    assert len(s3.get_object_acl(Bucket=versioned, Key="a", VersionId=first)["Grants"]) == 1


def test_a_public_list_lets_nobody_in(raw, s3, other_s3, bucket) -> None:
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    s3.put_object(Bucket=bucket, Key="a", Body=b"x", ACL="public-read")

    assert raw.unsigned("GET", f"/{bucket}/a").status == 403
    with refused(403, "AccessDenied"):
        other_s3.get_object(Bucket=bucket, Key="a")
