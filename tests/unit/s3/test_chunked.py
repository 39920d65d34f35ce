"""The aws-chunked framing: round trips however the network cuts them, and every malformed case."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import checksums, sigv4
from core.errors import (
    IncompleteBody,
    InvalidChunkSizeError,
    InvalidRequest,
    MalformedTrailerError,
    SignatureDoesNotMatch,
    StoreError,
)
from s3.chunked import ChunkedBody, Decoder

KEY = sigv4.signing_key("secret", "20260131", "us-east-1")
STAMP, SCOPE = "20260131T120000Z", "20260131/us-east-1/s3/aws4_request"
SEED = "5" * 64
NAME = "x-amz-checksum-crc32"
BIG, SMALL = b"a" * 8192, b"tail"


def chain() -> sigv4.ChunkChain:
    return sigv4.ChunkChain(KEY, STAMP, SCOPE, SEED)


def value(payload: bytes) -> str:
    return checksums.encode(checksums.digest("CRC32", payload))


def signed(chunks: list[bytes], *, end: bytes = b"\r\n") -> bytes:
    """The signed form of these chunks."""
    link = chain()
    framed = b""
    for chunk in [*chunks, b""]:
        signature = link.chunk(sha256(chunk).hexdigest()).encode()
        framed += b"%x;chunk-signature=%b\r\n" % (len(chunk), signature)
        framed += chunk + b"\r\n" if chunk else end
    return framed


def signed_with_trailer(
    chunks: list[bytes], trailer: str, *, signature: str | None = None
) -> bytes:
    link = chain()
    framed = b""
    for chunk in [*chunks, b""]:
        one = link.chunk(sha256(chunk).hexdigest()).encode()
        framed += b"%x;chunk-signature=%b\r\n" % (len(chunk), one)
        framed += chunk + b"\r\n" if chunk else b""
    last = link.trailer(f"{trailer}\n".encode()) if signature is None else signature
    return framed + f"{trailer}\r\nx-amz-trailer-signature:{last}\r\n\r\n".encode()


def unsigned(chunks: list[bytes], trailer: bytes) -> bytes:
    """The unsigned form; `trailer` is all that follows the zero chunk's line."""
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return framed + b"0\r\n" + trailer


def decoder(
    length: int, *, is_signed: bool, has_trailer: bool = False, announced: str | None = None
) -> Decoder:
    return Decoder(
        length=length,
        chain=chain() if is_signed else None,
        has_trailer=has_trailer,
        announced=announced,
    )


def decode(machine: Decoder, framed: bytes, cuts: list[int] | None = None) -> bytes:
    """The payload of `framed`, fed in pieces cut at the given places."""
    places = sorted({at % (len(framed) + 1) for at in cuts or []})
    for start, stop in zip([0, *places], [*places, len(framed)], strict=True):
        if start < stop:
            machine.feed(framed[start:stop])
    machine.finish()
    return b"".join(machine.payload)


def refuse(
    error: type[StoreError],
    framed: bytes,
    length: int,
    *,
    is_signed: bool = True,
    has_trailer: bool = False,
    announced: str | None = None,
) -> None:
    machine = decoder(length, is_signed=is_signed, has_trailer=has_trailer, announced=announced)
    with pytest.raises(error):
        decode(machine, framed)


cuts = st.lists(st.integers(0, 1 << 20), max_size=12)
sizes = st.lists(st.integers(8192, 9000), max_size=3)


@given(sizes=sizes, last=st.integers(0, 100), cuts=cuts)
def test_a_signed_body_decodes_however_it_is_cut(
    sizes: list[int], last: int, cuts: list[int]
) -> None:
    chunks = [bytes([i + 65]) * size for i, size in enumerate(sizes)]
    chunks += [b"z" * last] if last else []
    payload = b"".join(chunks)

    assert decode(decoder(len(payload), is_signed=True), signed(chunks), cuts) == payload


@given(chunks=st.lists(st.binary(min_size=1, max_size=60), max_size=6), cuts=cuts)
def test_an_unsigned_body_decodes_however_it_is_cut(chunks: list[bytes], cuts: list[int]) -> None:
    payload = b"".join(chunks)
    framed = unsigned(chunks, f"{NAME}:{value(payload)}\r\n\r\n".encode())
    machine = decoder(len(payload), is_signed=False, has_trailer=True, announced=NAME)

    assert decode(machine, framed, cuts) == payload
    assert machine.trailer == {NAME: value(payload)}


@given(cuts=cuts)
def test_a_signed_trailer_is_verified_however_it_is_cut(cuts: list[int]) -> None:
    framed = signed_with_trailer([BIG, SMALL], f"{NAME}:{value(BIG + SMALL)}")
    machine = decoder(len(BIG + SMALL), is_signed=True, has_trailer=True, announced=NAME)

    assert decode(machine, framed, cuts) == BIG + SMALL
    assert machine.trailer == {NAME: value(BIG + SMALL)}


@given(data=st.data())
def test_no_flipped_bit_of_a_signed_body_is_accepted(data: st.DataObject) -> None:
    framed = bytearray(signed([BIG, SMALL]))
    # Anywhere in the framing, or in the first bytes of the data.
    at = data.draw(
        st.one_of(st.integers(0, 120), st.integers(len(framed) - 190, len(framed) - 1)), "at"
    )
    framed[at] ^= 1 << data.draw(st.integers(0, 7), "bit")
    machine = decoder(len(BIG + SMALL), is_signed=True)

    try:
        found = decode(machine, bytes(framed))
    except (IncompleteBody, SignatureDoesNotMatch, InvalidChunkSizeError):
        return

    # What may change is the spelling of a size (`A` for `a`), never the payload.
    assert found == BIG + SMALL


@given(framed=st.binary(max_size=300), is_signed=st.booleans(), has_trailer=st.booleans())
def test_no_bytes_make_the_decoder_stumble(
    framed: bytes, is_signed: bool, has_trailer: bool
) -> None:
    machine = decoder(10, is_signed=is_signed, has_trailer=has_trailer, announced=NAME)
    try:
        decode(machine, framed)
    except StoreError:
        return

    assert sum(map(len, machine.payload)) == 10


def test_a_piece_within_one_chunk_is_passed_on_uncopied() -> None:
    framed = signed([BIG])
    line = framed.index(b"\n") + 1
    piece = framed[line : line + 8000]
    machine = decoder(len(BIG), is_signed=True)

    machine.feed(framed[:line])
    machine.feed(piece)

    assert machine.payload[0] is piece


def test_spaces_around_the_signature_are_tolerated() -> None:
    framed = signed([BIG]).replace(b";chunk-signature=", b" ; chunk-signature = ")

    assert decode(decoder(len(BIG), is_signed=True), framed) == BIG


def test_an_empty_signed_body_is_its_zero_chunk() -> None:
    assert decode(decoder(0, is_signed=True), signed([])) == b""


def test_a_wrong_chunk_signature_does_not_match() -> None:
    framed = bytearray(signed([BIG]))
    at = framed.index(b"=") + 1
    framed[at] = ord("0") if framed[at] != ord("0") else ord("1")

    refuse(SignatureDoesNotMatch, bytes(framed), len(BIG))


def test_a_wrong_last_signature_does_not_match() -> None:
    framed = signed([BIG])
    wrong = framed[: framed.rindex(b"=") + 1] + b"0" * 64 + b"\r\n\r\n"

    refuse(SignatureDoesNotMatch, wrong, len(BIG))


def test_swapped_chunks_do_not_match() -> None:
    one, other = b"a" * 8192, b"b" * 8192
    framed = signed([one, other])
    length = framed.index(b"\n") + 1 + 8192 + 2
    first, second, rest = framed[:length], framed[length : 2 * length], framed[2 * length :]

    refuse(SignatureDoesNotMatch, second + first + rest, len(one + other))


@pytest.mark.parametrize(
    "parameters",
    [b"", b";", b";chunk-signature", b";chunk-signature=", b";chunk-signature=abc",
     b";chunk-signature=" + b"g" * 64, b";chunk-signature=" + b"0" * 64 + b";more=1", b";more=1"],
)  # fmt: skip
def test_a_malformed_signature_is_an_incomplete_body(parameters: bytes) -> None:
    refuse(IncompleteBody, b"2000%b\r\n%b\r\n" % (parameters, BIG), len(BIG))


def test_a_parameter_before_the_signature_does_not_match() -> None:
    framed = signed([BIG]).replace(b";chunk-signature=", b";more=1;chunk-signature=", 1)

    refuse(SignatureDoesNotMatch, framed, len(BIG))


@pytest.mark.parametrize("size", [b"", b"x", b"-1", b"+1", b"0x2", b" ", b"1" * 17, b"2_0"])
def test_a_size_that_is_no_hex_number_is_an_incomplete_body(size: bytes) -> None:
    refuse(IncompleteBody, size + b"\r\n" + BIG, len(BIG), is_signed=False, has_trailer=True)


def test_a_small_chunk_before_the_last_is_refused() -> None:
    refuse(InvalidChunkSizeError, signed([b"a" * 8191, BIG]), 8191 + 8192)


def test_a_small_unsigned_chunk_is_fine() -> None:
    machine = decoder(2, is_signed=False, has_trailer=True)

    assert decode(machine, unsigned([b"a", b"b"], b"\r\n")) == b"ab"


MALFORMED = {
    "a bare line feed after the size": signed([BIG]).replace(b"\r\n", b"\n", 1),
    "no carriage return after the data": signed([BIG]).replace(BIG + b"\r\n", BIG + b"\n"),
    "no line feed after the data": signed([BIG]).replace(BIG + b"\r\n", BIG + b"\r"),
    "no line break after the data": signed([BIG]).replace(BIG + b"\r\n", BIG),
    "no zero chunk": signed([BIG])[: signed([BIG]).rindex(b"\r\n0;") + 2],
    "no last line break": signed([BIG], end=b""),
    "truncated data": signed([BIG])[:4000],
    "truncated line": signed([BIG])[:20],
    "bytes after the end": signed([BIG]) + b"x",
    "a second body after the end": signed([BIG]) + signed([BIG]),
    "a zero chunk in the middle": signed([]) + signed([BIG]),
    "no framing at all": BIG,
    "nothing": b"",
    "a line without end": b"2" * 10_000,
}


@pytest.mark.parametrize("framed", MALFORMED.values(), ids=list(MALFORMED))
def test_a_malformed_frame_is_an_incomplete_body(framed: bytes) -> None:
    refuse(IncompleteBody, framed, len(BIG))


@pytest.mark.parametrize("length", [0, 8191, 8193, 1 << 40])
def test_another_length_than_declared_is_an_incomplete_body(length: int) -> None:
    refuse(IncompleteBody, signed([BIG]), length)


def test_a_parameter_in_an_unsigned_body_is_refused() -> None:
    refuse(IncompleteBody, b"1;a=b\r\nx\r\n0\r\n\r\n", 1, is_signed=False, has_trailer=True)


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


def test_a_wrong_trailer_signature_does_not_match() -> None:
    framed = signed_with_trailer([SMALL], f"{NAME}:{value(SMALL)}", signature="0" * 64)

    refuse_signed_trailer(SignatureDoesNotMatch, framed)


def test_a_changed_trailer_does_not_match() -> None:
    framed = signed_with_trailer([SMALL], f"{NAME}:{value(SMALL)}")
    other = framed.replace(value(SMALL).encode(), value(b"other").encode())

    refuse_signed_trailer(SignatureDoesNotMatch, other)


@pytest.mark.parametrize("signature", ["", "abc", "g" * 64])
def test_a_malformed_trailer_signature_is_an_incomplete_body(signature: str) -> None:
    framed = signed_with_trailer([SMALL], f"{NAME}:{value(SMALL)}", signature=signature)

    refuse_signed_trailer(IncompleteBody, framed)


def test_an_absent_trailer_signature_is_an_incomplete_body() -> None:
    framed = signed_with_trailer([SMALL], f"{NAME}:{value(SMALL)}")
    without = framed[: framed.index(b"x-amz-trailer-signature")] + b"\r\n"

    refuse_signed_trailer(IncompleteBody, without)


class Pieces:
    """A source that gives these pieces."""

    length = None
    trailer: dict[str, str] = {}

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)

    async def read(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


async def test_a_body_ends_only_when_its_frame_has_ended() -> None:
    framed = signed([BIG])
    body = ChunkedBody(
        Pieces(framed[:-2]), decoder(len(BIG), is_signed=True), length=len(BIG), is_signed=True
    )
    assert await body.read()

    with pytest.raises(IncompleteBody):
        await body.read()


async def test_large_signed_pieces_are_verified_too() -> None:
    chunk = b"c" * (1 << 20)
    body = ChunkedBody(
        Pieces(signed([chunk])),
        decoder(len(chunk), is_signed=True),
        length=len(chunk),
        is_signed=True,
    )

    assert await body.read() == chunk
    assert await body.read() == b""
