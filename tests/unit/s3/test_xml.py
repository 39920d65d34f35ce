"""Reading and writing the XML of S3."""

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import MalformedXML
from s3 import xml

# Any character XML can carry; control characters travel as references, which only XML 1.1 reads.
TEXT = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"]))


@given(TEXT)
def test_text_survives_being_printed_and_read(text: str) -> None:
    document = xml.document("Root", xml.element("Key", text))

    assert xml.parse(document, "Root").value("Key") == text


def test_line_breaks_and_tabs_survive_as_references() -> None:
    document = xml.document("Root", xml.element("Key", "a\n\r\tb"))

    assert b"&#xA;&#xD;&#x9;" in document
    assert xml.parse(document, "Root").value("Key") == "a\n\r\tb"


@given(st.datetimes(min_value=datetime(1000, 1, 1)))
def test_a_time_is_printed_the_same_from_text(moment: datetime) -> None:
    text = str(moment).rstrip("0") if moment.microsecond else str(moment)

    assert xml.stamp(text) == xml.timestamp(moment.replace(tzinfo=UTC))
    assert xml.stamp(text) == f"{moment.isoformat(timespec='milliseconds')}Z"


def test_control_characters_never_leave_raw() -> None:
    printed = xml.escape("".join(map(chr, range(0xA0))))

    assert not [character for character in printed if ord(character) < 32]


def test_a_root_without_a_namespace_is_read() -> None:
    node = xml.parse(b"<Delete><Object><Key>a</Key></Object></Delete>", "Delete")

    assert node.children[0].value("Key") == "a"


def test_a_prefixed_namespace_is_read() -> None:
    node = xml.parse(b'<s:Tagging xmlns:s="urn:x"><s:TagSet/></s:Tagging>', "Tagging")

    assert node.children[0].name == "TagSet"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no xml",
        b"<Delete>",
        b"<Other/>",
        b"<Delete><Key>a</Key>words between</Delete>",
        b'<!DOCTYPE Delete SYSTEM "http://example.com/x.dtd"><Delete/>',
        b'<!DOCTYPE Delete [<!ENTITY e "v">]><Delete>&e;</Delete>',
        b'<!DOCTYPE Delete [<!ENTITY e SYSTEM "file:///etc/passwd">]><Delete>&e;</Delete>',
        b"<Delete>&undefined;</Delete>",
        b'<?xml version="1.0" encoding="no-such-encoding"?><Delete/>',
        b"<Delete>\xff\xfe</Delete>",
        b"<Delete/><Delete/>",
        b"<a>" * 11 + b"</a>" * 11,
    ],
)
def test_what_is_no_plain_document_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedXML):
        xml.parse(body, "Delete")


def test_a_document_over_two_mebibytes_is_refused() -> None:
    with pytest.raises(MalformedXML):
        xml.parse(b"<Delete>" + b" " * xml.MAX_BYTES + b"</Delete>", "Delete")


def test_ten_levels_are_read() -> None:
    assert xml.parse(b"<a>" * 10 + b"</a>" * 10, "a").name == "a"


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(MalformedXML):
        xml.parse(body, "Delete")


def test_a_child_given_twice_is_refused() -> None:
    node = xml.parse(b"<R><Key>a</Key><Key>b</Key></R>", "R")

    with pytest.raises(MalformedXML):
        node.value("Key")


def test_an_unexpected_child_is_refused() -> None:
    node = xml.parse(b"<R><Key>a</Key></R>", "R")

    with pytest.raises(MalformedXML):
        node.only("Other")
