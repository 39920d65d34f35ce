"""Signature Version 4: what verifies as signed, and that no mutant of it does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import sigv4
from core.checksums import EMPTY_SHA256
from core.errors import SignatureDoesNotMatch
from tests.support.signatures import NOW, SECRET, SIGNER, check

URL = "http://127.0.0.1:9000/bucket/a%20key%2Fb?list-type=2&prefix=a%2Bb"
SIGNED = SIGNER.headers("PUT", URL, headers={"x-amz-meta-a": "one two"}, now=NOW)
PATH, QUERY = b"/bucket/a%20key%2Fb", b"list-type=2&prefix=a%2Bb"


def test_what_our_signer_signs_verifies() -> None:
    check("PUT", PATH, QUERY, SIGNED, EMPTY_SHA256)


@given(at=st.integers(0, len(PATH) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_of_the_path_is_refused(at: int, bit: int) -> None:
    flipped = bytearray(PATH)
    flipped[at] ^= 1 << bit

    with pytest.raises(SignatureDoesNotMatch):
        check("PUT", bytes(flipped), QUERY, SIGNED, EMPTY_SHA256)


@given(at=st.integers(0, len(QUERY) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_of_the_query_is_refused(at: int, bit: int) -> None:
    flipped = bytearray(QUERY)
    flipped[at] ^= 1 << bit

    with pytest.raises(SignatureDoesNotMatch):
        check("PUT", PATH, bytes(flipped), SIGNED, EMPTY_SHA256)


@given(
    name=st.sampled_from(["host", "x-amz-date", "x-amz-content-sha256", "x-amz-meta-a"]),
    at=st.integers(0, 100),
    other=st.characters(codec="latin-1", exclude_categories=("Cc", "Zs")),
)
def test_a_changed_signed_header_is_refused(name: str, at: int, other: str) -> None:
    value = SIGNED[name]
    at %= len(value)
    changed = value[:at] + other + value[at + 1 :]
    if changed == value:
        return
    sent = {**SIGNED, name: changed}
    payload_hash = sent["x-amz-content-sha256"]

    with pytest.raises(SignatureDoesNotMatch):
        check("PUT", PATH, QUERY, sent, payload_hash)


def test_another_secret_is_refused() -> None:
    with pytest.raises(SignatureDoesNotMatch):
        check("PUT", PATH, QUERY, SIGNED, EMPTY_SHA256, secret=SECRET + "x")


def test_another_method_is_refused() -> None:
    with pytest.raises(SignatureDoesNotMatch):
        check("GET", PATH, QUERY, SIGNED, EMPTY_SHA256)


def test_a_refusal_shows_what_was_signed_here() -> None:
    with pytest.raises(SignatureDoesNotMatch) as caught:
        check("GET", PATH, QUERY, SIGNED, EMPTY_SHA256)

    assert caught.value.details["CanonicalRequest"].startswith("GET\n/bucket/a%20key%2Fb\n")
    assert caught.value.details["StringToSign"].startswith("AWS4-HMAC-SHA256\n20260131T120000Z\n")


def test_a_path_signed_escaped_and_sent_bare_verifies() -> None:
    signed = SIGNER.headers("GET", "http://h/bucket/a%28b%29", now=NOW)

    check("GET", b"/bucket/a(b)", b"", signed, EMPTY_SHA256)


def test_the_order_of_the_query_does_not_matter() -> None:
    check("PUT", PATH, b"prefix=a%2Bb&list-type=2", SIGNED, EMPTY_SHA256)


def test_a_name_without_value_is_signed_with_an_empty_one() -> None:
    assert sigv4.canonical_query(b"uploads&a=1") == b"a=1&uploads="


def test_runs_of_spaces_in_a_header_count_as_one() -> None:
    folded = {**SIGNED, "x-amz-meta-a": " one   two "}

    check("PUT", PATH, QUERY, folded, EMPTY_SHA256)
