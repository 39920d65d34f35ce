"""What a request's headers say of the object it brings."""

import pytest

from core.errors import (
    InvalidDigest,
    InvalidRequest,
    InvalidStorageClass,
    InvalidTag,
    MetadataTooLarge,
    OperationNotImplemented,
)
from s3 import drafts
from s3.bodies import checksum_claim, content_md5


def test_only_what_describes_the_object_is_kept() -> None:
    system, metadata = drafts.stored_headers(
        {
            "host": "localhost",
            "content-type": "text/plain",
            "cache-control": "no-store",
            "x-amz-date": "now",
            "x-amz-meta-colour": "blue",
            "x-amz-website-redirect-location": "/b",
            "user-agent": "test",
        }
    )

    assert system == {
        "content-type": "text/plain",
        "cache-control": "no-store",
        "x-amz-website-redirect-location": "/b",
    }
    assert metadata == {"colour": "blue"}


def test_an_empty_type_is_none() -> None:
    assert drafts.stored_headers({"content-type": ""}) == ({}, {})


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("aws-chunked", None),
        ("gzip,aws-chunked", "gzip"),
        ("AWS-Chunked , gzip, br", "gzip, br"),
        ("gzip,br", "gzip,br"),
    ],
)
def test_the_requests_own_coding_is_dropped(sent: str, kept: str | None) -> None:
    system, _ = drafts.stored_headers({"content-encoding": sent})

    assert system.get("content-encoding") == kept


def test_two_kibibytes_of_metadata_are_the_most() -> None:
    drafts.stored_headers({"x-amz-meta-a": "x" * 2047})

    with pytest.raises(MetadataTooLarge):
        drafts.stored_headers({"x-amz-meta-a": "x" * 2048})


@pytest.mark.parametrize(
    "name",
    [
        "x-amz-server-side-encryption",
        "x-amz-server-side-encryption-customer-key",
        "x-amz-grant-full-control",
        "x-amz-write-offset-bytes",
    ],
)
def test_what_is_not_done_is_refused(name: str) -> None:
    with pytest.raises(OperationNotImplemented):
        drafts.stored_headers({name: "x"})


def test_a_list_and_grants_together_are_refused() -> None:
    with pytest.raises(InvalidRequest):
        drafts.stored_headers({"x-amz-acl": "private", "x-amz-grant-read": "id=a"})


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(InvalidStorageClass):
        drafts.storage_class({"x-amz-storage-class": "standard"})


def test_tags_are_decoded_once() -> None:
    assert drafts.tags({"x-amz-tagging": "a%20b=c%3Dd&e=f+g&h"}) == {
        "a b": "c=d",
        "e": "f g",
        "h": "",
    }


@pytest.mark.parametrize("header", ["a=1&a=2", "=1", "%ff=1", "&".join(map(str, range(11)))])
def test_tags_that_break_the_rules_are_refused(header: str) -> None:
    with pytest.raises(InvalidTag):
        drafts.tags({"x-amz-tagging": header})


@pytest.mark.parametrize("text", ["", "abc", "YWJj", "not base64 at all!", "A" * 24 + "=="])
def test_a_digest_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidDigest):
        content_md5({"content-md5": text})


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-sha1": "A" * 27 + "="},
        {"x-amz-checksum-crc32": "AAAAAA==", "x-amz-trailer": "x-amz-checksum-crc32"},
        {"x-amz-checksum-crc32": "AAAA"},
        {"x-amz-checksum-crc33": "AAAAAA=="},
        {"x-amz-sdk-checksum-algorithm": "CRC32"},
        {"x-amz-sdk-checksum-algorithm": "NONE", "x-amz-checksum-crc32": "AAAAAA=="},
        {"x-amz-sdk-checksum-algorithm": "SHA1", "x-amz-checksum-crc32": "AAAAAA=="},
    ],
)
def test_a_checksum_that_makes_no_sense_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        checksum_claim(headers)


def test_a_checksum_is_claimed_by_header_or_trailer() -> None:
    given = checksum_claim({"x-amz-checksum-crc32": "AAAAAA=="})
    announced = checksum_claim({"x-amz-trailer": "x-amz-checksum-crc64nvme,"})

    assert given is not None
    assert announced is not None
    assert (given.algorithm, given.value) == ("CRC32", "AAAAAA==")
    assert (announced.algorithm, announced.value) == ("CRC64NVME", None)


def test_asking_for_checksums_claims_none() -> None:
    assert checksum_claim({"x-amz-checksum-mode": "ENABLED"}) is None
