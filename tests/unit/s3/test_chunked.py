"""The aws-chunked framing: round trips however the network cuts them, and every malformed case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import IncompleteBody, InvalidChunkSizeError, SignatureDoesNotMatch, StoreError
from s3.chunked import ChunkedBody
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
    "no last line break": signed([BIG]).removesuffix(b"\r\n"),
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
