"""aws-chunked bodies of one key and seed, and the decoders that are to take them or not."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from core import checksums, sigv4
from core.errors import StoreError
from s3.chunked import Decoder
from tests.support.framing import frames

NAME = "x-amz-checksum-crc32"
BIG, SMALL = b"a" * 8192, b"tail"
# Where the network cuts a body.
cuts = st.lists(st.integers(0, 1 << 20), max_size=12)
_KEY = sigv4.signing_key("secret", "20260131", "us-east-1")
_STAMP, _SCOPE = "20260131T120000Z", "20260131/us-east-1/s3/aws4_request"
_SEED = "5" * 64


def value(payload: bytes) -> str:
    """Its checksum as a trailer writes it."""
    return checksums.encode(checksums.digest("CRC32", payload))


def signed(chunks: list[bytes], trailer: str = "") -> bytes:
    """The signed form of these chunks, and of a trailer when given."""
    return frames(*chunks, trailer=trailer.encode(), signed=_chain())


def unsigned(chunks: list[bytes], trailer: bytes) -> bytes:
    """The unsigned form; `trailer` is all that follows the zero chunk's line."""
    return frames(*chunks).removesuffix(b"\r\n") + trailer


def decoder(
    length: int, *, is_signed: bool, has_trailer: bool = False, announced: str | None = None
) -> Decoder:
    return Decoder(
        length=length,
        chain=_chain() if is_signed else None,
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
    """Expect a decoder of a body of that length to refuse `framed` so."""
    machine = decoder(length, is_signed=is_signed, has_trailer=has_trailer, announced=announced)
    with pytest.raises(error):
        decode(machine, framed)


def _chain() -> sigv4.ChunkChain:
    return sigv4.ChunkChain(_KEY, _STAMP, _SCOPE, _SEED)
