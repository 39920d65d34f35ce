"""Trailers of aws-chunked bodies: signed and unsigned, the announced one and every other."""

from __future__ import annotations

import pytest
from hypothesis import given

from core.errors import (
    IncompleteBody,
    InvalidRequest,
    MalformedTrailerError,
    SignatureDoesNotMatch,
    StoreError,
)
from tests.support.chunked import (
    BIG,
    NAME,
    SMALL,
    cuts,
    decode,
    decoder,
    refuse,
    signed,
    unsigned,
    value,
)


@given(cuts=cuts)
def test_a_signed_trailer_is_verified_however_it_is_cut(cuts: list[int]) -> None:
    framed = signed([BIG, SMALL], f"{NAME}:{value(BIG + SMALL)}")
    machine = decoder(len(BIG + SMALL), is_signed=True, has_trailer=True, announced=NAME)

    assert decode(machine, framed, cuts) == BIG + SMALL
    assert machine.trailer == {NAME: value(BIG + SMALL)}


GOOD = f"{NAME}:{value(SMALL)}\r\n".encode()


def refuse_trailer(error: type[StoreError], trailer: bytes, announced: str | None = NAME) -> None:
    refuse(
        error,
        unsigned([SMALL], trailer),
        len(SMALL),
        is_signed=False,
        has_trailer=True,
        announced=announced,
    )


def test_the_very_last_line_break_may_be_absent() -> None:
    machine = decoder(len(SMALL), is_signed=False, has_trailer=True, announced=NAME)

    assert decode(machine, unsigned([SMALL], GOOD)) == SMALL


def test_a_trailer_given_twice_counts_the_last_time() -> None:
    machine = decoder(len(SMALL), is_signed=False, has_trailer=True, announced=NAME)
    decode(machine, unsigned([SMALL], f"{NAME}:{value(b'other')}\r\n".encode() + GOOD + b"\r\n"))

    assert machine.trailer == {NAME: value(SMALL)}


TRAILERS = {
    "not sent": b"\r\n",
    "nothing at all": b"",
    "another one": b"x-amz-checksum-sha1:AAAA\r\n\r\n",
    "one more": GOOD + b"x-amz-checksum-sha1:AAAA\r\n\r\n",
    "a blank line first": b"\r\n" + GOOD + b"\r\n",
    "no colon": NAME.encode() + b"\r\n\r\n",
    "too many lines": GOOD * 40 + b"\r\n",
}


@pytest.mark.parametrize("trailer", TRAILERS.values(), ids=list(TRAILERS))
def test_a_trailer_that_is_not_the_announced_one_is_malformed(trailer: bytes) -> None:
    refuse_trailer(MalformedTrailerError, trailer)


def test_a_trailer_nobody_announced_is_malformed() -> None:
    refuse_trailer(MalformedTrailerError, GOOD + b"\r\n", announced=None)


@pytest.mark.parametrize("text", ["", "AAAA", "not base64"])
def test_a_trailer_that_is_no_checksum_is_an_invalid_request(text: str) -> None:
    refuse_trailer(InvalidRequest, f"{NAME}:{text}\r\n\r\n".encode())


def test_a_trailer_line_without_carriage_return_is_an_incomplete_body() -> None:
    refuse_trailer(IncompleteBody, GOOD.replace(b"\r\n", b"\n") + b"\r\n")


def refuse_signed_trailer(error: type[StoreError], framed: bytes) -> None:
    refuse(error, framed, len(SMALL), has_trailer=True, announced=NAME)


def with_signature(signature: str) -> bytes:
    """A right trailer under this signature."""
    framed = signed([SMALL], f"{NAME}:{value(SMALL)}")
    return framed[: framed.rindex(b":") + 1] + f"{signature}\r\n\r\n".encode()


def test_a_wrong_trailer_signature_does_not_match() -> None:
    framed = with_signature("0" * 64)

    refuse_signed_trailer(SignatureDoesNotMatch, framed)


def test_a_changed_trailer_does_not_match() -> None:
    framed = signed([SMALL], f"{NAME}:{value(SMALL)}")
    other = framed.replace(value(SMALL).encode(), value(b"other").encode())

    refuse_signed_trailer(SignatureDoesNotMatch, other)


@pytest.mark.parametrize("signature", ["", "abc", "g" * 64])
def test_a_malformed_trailer_signature_is_an_incomplete_body(signature: str) -> None:
    framed = with_signature(signature)

    refuse_signed_trailer(IncompleteBody, framed)


def test_an_absent_trailer_signature_is_an_incomplete_body() -> None:
    framed = signed([SMALL], f"{NAME}:{value(SMALL)}")
    without = framed[: framed.index(b"x-amz-trailer-signature")] + b"\r\n"

    refuse_signed_trailer(IncompleteBody, without)
