"""Request documents read into values, answers printed from them."""

from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest

from core.errors import (
    IllegalVersioningConfigurationException,
    InvalidArgument,
    MalformedACLError,
    MalformedXML,
    OperationNotImplemented,
)
from s3.shapes import acl, buckets, delete, listing, multipart
from s3.shapes.buckets import Party
from s3.shapes.names import Encoder

OWNER = Party(canonical_id="c" * 64, display_name="Me & Co")
MOMENT = "2009-10-12 17:50:30"
ASKED = listing.Asked(bucket="b", prefix="", delimiter=None, max_keys=1000, encode=Encoder(None))


def tree(document: bytes) -> ElementTree.Element:
    root = ElementTree.fromstring(document)
    for node in root.iter():
        node.tag = node.tag.rpartition("}")[2]
    return root


def test_a_row_of_a_listing_says_all_of_an_object() -> None:
    checksum = {"algorithm": "CRC32", "type": "FULL_OBJECT", "value": ""}
    row = ("a<b", MOMENT, "0" * 32, 7, "STANDARD", checksum)

    root = tree(
        listing.objects_result(
            ASKED, [row], ["p/"], owner=OWNER, marker="", next_marker=None, truncated=False
        )
    )

    assert {node.tag: node.text for node in root.find("Contents") or ()} == {
        "Key": "a<b",
        "LastModified": "2009-10-12T17:50:30.000Z",
        "ETag": f'"{"0" * 32}"',
        "Size": "7",
        "Owner": None,
        "StorageClass": "STANDARD",
        "ChecksumAlgorithm": "CRC32",
        "ChecksumType": "FULL_OBJECT",
    }
    assert root.findtext("CommonPrefixes/Prefix") == "p/"
    assert root.findtext("Contents/Owner/DisplayName") == "Me & Co"


def test_a_marker_has_neither_tag_nor_size() -> None:
    row = ("a", "null", True, True, MOMENT, "", 0, "STANDARD", None)

    root = tree(
        listing.versions_result(
            ASKED, [row], [], owner=OWNER, key_marker="", version_id_marker="", next_markers=None
        )
    )

    assert [node.tag for node in root.find("DeleteMarker") or ()] == [
        "Key",
        "VersionId",
        "IsLatest",
        "LastModified",
        "Owner",
    ]


def test_no_answer_repeats_a_delimiter_that_was_not_given() -> None:
    assert "<Delimiter>" not in ASKED.head()


def test_an_empty_creation_asks_for_nothing() -> None:
    assert buckets.parse_create(b"").location is None


def test_tags_at_creation_are_not_implemented() -> None:
    body = b"<CreateBucketConfiguration><Tags/></CreateBucketConfiguration>"

    with pytest.raises(OperationNotImplemented):
        buckets.parse_create(body)


@pytest.mark.parametrize("status", [b"enabled", b"Off", b""])
def test_a_status_is_one_of_two(status: bytes) -> None:
    body = b"<VersioningConfiguration><Status>%b</Status></VersioningConfiguration>" % status

    with pytest.raises(MalformedXML):
        buckets.parse_versioning(body)


def test_a_status_has_to_be_there() -> None:
    with pytest.raises(IllegalVersioningConfigurationException):
        buckets.parse_versioning(b"<VersioningConfiguration/>")


def test_mfa_delete_may_be_declined_but_not_asked_for() -> None:
    body = (
        "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>{}</MfaDelete>"
        "</VersioningConfiguration>"
    )

    assert buckets.parse_versioning(body.format("Disabled").encode()) == "Enabled"
    with pytest.raises(MalformedXML):
        buckets.parse_versioning(body.format("Enabled").encode())


@pytest.mark.parametrize("time", ["2026-05-01T12:00:00Z", "Fri, 01 May 2026 12:00:00 GMT"])
def test_a_delete_reads_times_in_both_forms(time: str) -> None:
    body = (
        f"<Delete><Object><Key>a</Key><LastModifiedTime>{time}</LastModifiedTime></Object></Delete>"
    )

    (entry,) = delete.parse_delete(body.encode()).entries

    assert entry.last_modified == datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "inside",
    [
        "<Object><Key></Key></Object>",
        "<Object><Key>a</Key><Size>big</Size></Object>",
        "<Object><Key>a</Key><LastModifiedTime>soon</LastModifiedTime></Object>",
        "<Object><Key>a</Key></Object><Quiet>maybe</Quiet>",
        "<Object><Key>a</Key><Unknown/></Object>",
    ],
)
def test_a_delete_that_makes_no_sense_is_refused(inside: str) -> None:
    with pytest.raises(MalformedXML):
        delete.parse_delete(f"<Delete>{inside}</Delete>".encode())


def test_a_part_keeps_its_checksums() -> None:
    body = (
        b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;e&quot;</ETag>"
        b"<ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part></CompleteMultipartUpload>"
    )

    (part,) = multipart.parse_complete(body)

    assert (part.number, part.etag, part.checksums) == (1, "e", {"CRC32": "AAAAAA=="})


@pytest.mark.parametrize("number", ["0", "10001"])
def test_a_part_number_has_bounds(number: str) -> None:
    body = (
        f"<CompleteMultipartUpload><Part><PartNumber>{number}</PartNumber><ETag>e</ETag></Part>"
        "</CompleteMultipartUpload>"
    )

    with pytest.raises(InvalidArgument):
        multipart.parse_complete(body.encode())


@pytest.mark.parametrize(
    "name",
    sorted(
        set(acl.BUCKET_CANNED) - {"aws-exec-read", "bucket-owner-read", "bucket-owner-full-control"}
    ),
)
def test_a_canned_list_is_recognised_in_its_document(name: str) -> None:
    assert acl.parse_acl(acl.acl_result(OWNER, name), OWNER) == name


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<AccessControlPolicy/>",
        b"<AccessControlPolicy><Owner/><AccessControlList><Grant/></AccessControlList>"
        b"</AccessControlPolicy>",
    ],
)
def test_a_list_that_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedACLError):
        acl.parse_acl(body, OWNER)


@pytest.mark.parametrize(
    ("name", "spelled"),
    [("a b", "a%20b"), ("a+b", "a%2Bb"), ("a/b~c", "a/b~c"), ("é\n", "%C3%A9%0A"), ("*", "%2A")],
)
def test_names_are_percent_encoded_as_s3_does(name: str, spelled: str) -> None:
    assert Encoder("url")(name) == Encoder("url").printed(name) == spelled
