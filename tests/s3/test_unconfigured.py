"""What this store does not offer answers its documented error, and never another operation."""

import pytest

ABSENT = {
    "policy": (404, "NoSuchBucketPolicy"),
    "tagging": (404, "NoSuchTagSet"),
    "cors": (404, "NoSuchCORSConfiguration"),
    "lifecycle": (404, "NoSuchLifecycleConfiguration"),
    "website": (404, "NoSuchWebsiteConfiguration"),
    "encryption": (404, "ServerSideEncryptionConfigurationNotFoundError"),
    "object-lock": (404, "ObjectLockConfigurationNotFoundError"),
    "publicAccessBlock": (404, "NoSuchPublicAccessBlockConfiguration"),
    "ownershipControls": (404, "OwnershipControlsNotFoundError"),
    "replication": (404, "ReplicationConfigurationNotFoundError"),
    "inventory&id=a": (404, "NoSuchConfiguration"),
    "analytics&id=a": (404, "NoSuchConfiguration"),
    "metrics&id=a": (404, "NoSuchConfiguration"),
    "intelligent-tiering&id=a": (404, "NoSuchConfiguration"),
}
EMPTY = {
    "logging": "BucketLoggingStatus",
    "notification": "NotificationConfiguration",
    "accelerate": "AccelerateConfiguration",
    "requestPayment": "RequestPaymentConfiguration",
    "versioning": "VersioningConfiguration",
    "policyStatus": "PolicyStatus",
}
DELETABLE = ["policy", "tagging", "cors", "lifecycle", "website", "encryption",
             "publicAccessBlock", "ownershipControls", "replication", "metrics&id=a"]  # fmt: skip
REFUSED = ["policy", "cors", "lifecycle", "website", "encryption", "object-lock", "replication",
           "logging", "notification", "accelerate", "requestPayment",
           "publicAccessBlock"]  # fmt: skip


@pytest.mark.parametrize(("query", "expected"), ABSENT.items())
def test_what_was_never_configured_is_reported_absent(raw, bucket, query, expected) -> None:
    answer = raw("GET", f"/{bucket}?{query}")

    assert (answer.status, answer.code) == expected


@pytest.mark.parametrize(("query", "root"), EMPTY.items())
def test_what_always_exists_is_shown_empty(raw, bucket, query: str, root: str) -> None:
    answer = raw("GET", f"/{bucket}?{query}")

    assert (answer.status, answer.xml.tag) == (200, root)


@pytest.mark.parametrize("query", DELETABLE)
def test_deleting_what_was_never_configured_succeeds(raw, bucket, query: str) -> None:
    assert raw("DELETE", f"/{bucket}?{query}").status == 204
    assert raw("HEAD", f"/{bucket}").status == 200


@pytest.mark.parametrize("query", REFUSED)
def test_what_would_have_no_effect_is_refused(raw, bucket, query: str) -> None:
    answer = raw("PUT", f"/{bucket}?{query}", body=b"{}")

    assert (answer.status, answer.code) == (501, "NotImplemented")


@pytest.mark.parametrize("query", ["retention", "legal-hold"])
def test_a_lock_is_refused_where_there_are_none(raw, s3, bucket, query: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")

    for method in ("GET", "PUT"):
        answer = raw(method, f"/{bucket}/a?{query}")
        assert (answer.status, answer.code) == (400, "InvalidRequest")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST", "HEAD"])
def test_an_unknown_subresource_touches_nothing(raw, s3, bucket, method: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"kept")

    assert raw(method, f"/{bucket}/a?unheard-of").status == 501
    assert raw(method, f"/{bucket}?unheard-of").status == 501

    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"kept"


def test_another_method_names_the_allowed_ones(raw, bucket) -> None:
    answer = raw("POST", f"/{bucket}?acl")

    assert (answer.status, answer.code) == (405, "MethodNotAllowed")
    assert answer.headers["allow"] == "GET, PUT"


def test_a_torrent_is_never_the_data(raw, s3, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")

    assert raw("GET", f"/{bucket}/a?torrent").status == 405


@pytest.mark.parametrize("query", ["restore", "select&select-type=2"])
def test_what_comes_later_is_not_implemented(raw, bucket, query: str) -> None:
    assert raw("POST", f"/{bucket}/a?{query}").status == 501


def test_a_form_upload_is_not_implemented(raw, bucket) -> None:
    assert raw("POST", f"/{bucket}").status == 501


def test_a_preflight_of_a_presigned_address_is_answered_alike(raw, s3, bucket) -> None:
    address = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a"})

    answer = raw.unsigned("OPTIONS", address.removeprefix(raw.endpoint))

    assert (answer.status, answer.code) == (400, "BadRequest")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 400),
        ({"origin": "http://example.com"}, 400),
        ({"origin": "http://example.com", "access-control-request-method": "GET"}, 403),
    ],
)
def test_a_preflight_is_answered_without_a_signature(raw, bucket, headers, status: int) -> None:
    assert raw.unsigned("OPTIONS", f"/{bucket}/a", headers=headers).status == status
