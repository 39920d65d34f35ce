"""The aws-chunked framing of request bodies: signed, unsigned, with and without trailer.

Here: an incremental decoder that verifies as it goes, and the body that reads through it.
Not here: which framing a request uses (s3.framing), comparing the trailer's checksum with the
bytes (objects).

Promise: when the end is reported, every chunk signature, the zero chunk, the decoded length, the
trailer and its signature have been verified. Any other shape of the framing is refused.
"""

from __future__ import annotations

import asyncio
from collections import deque
from hashlib import sha256

from core import checksums, sigv4, sigv4_claim
from core.errors import (
    IncompleteBody,
    InvalidChunkSizeError,
    MalformedTrailerError,
    SignatureDoesNotMatch,
)
from core.streams import Body

MIN_CHUNK = 8192
_MAX_LINE = 4096
_MAX_TRAILER_LINES = 32
# A signed piece this large is taken in a thread: the hop costs less than the loop's standstill.
_THREAD_FROM = 128 * 1024
_HEX = frozenset(b"0123456789abcdefABCDEF")
_SIGNATURE = b"chunk-signature"
_TRAILER_SIGNATURE = "x-amz-trailer-signature"

# What comes next: a chunk's line, its data, the line break after it, the trailer, the last break.
_LINE, _DATA, _DATA_END, _TRAILER, _LAST, _OVER = range(6)


class Decoder:
    """Turns framed bytes into pieces of payload.

    `chain` verifies signatures (None: the unsigned form); `has_trailer` says whether the mode has a
    trailer, `announced` which one, in lower case.
    """

    def __init__(
        self,
        *,
        length: int,
        chain: sigv4.ChunkChain | None,
        has_trailer: bool,
        announced: str | None,
    ) -> None:
        self.payload: deque[bytes] = deque()
        self.trailer: dict[str, str] = {}
        self._length = length
        self._chain = chain
        self._has_trailer = has_trailer
        self._announced = announced
        self._state = _LINE
        self._kept = b""
        self._size = MIN_CHUNK
        self._left = 0
        self._total = 0
        self._signature = ""
        self._hash = sha256()
        self._lines: list[bytes] = []

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the connection; what they hold is appended to `payload`."""
        if self._kept:
            piece, self._kept = self._kept + piece, b""
        at, end = 0, len(piece)
        while at < end:
            if self._state == _DATA:
                at = self._take_data(piece, at)
                continue
            if self._state == _OVER:
                raise IncompleteBody("Bytes follow the last chunk.")
            stop = piece.find(b"\n", at)
            if stop < 0:
                self._kept = piece[at:]
                if len(self._kept) > _MAX_LINE:
                    raise IncompleteBody()
                return
            if stop == at or piece[stop - 1] != 13:  # "\r"
                raise IncompleteBody("A line of the chunked body does not end in CR LF.")
            self._take_line(piece[at : stop - 1])
            at = stop + 1

    def finish(self) -> None:
        """There are no more bytes: was that the proper end?"""
        if self._state == _TRAILER and not self._kept:
            self._end_trailer()  # some clients leave out the very last line break
        if self._state != _OVER:
            raise IncompleteBody()

    def _take_data(self, piece: bytes, at: int) -> int:
        stop = min(at + self._left, len(piece))
        taken = piece if stop - at == len(piece) else piece[at:stop]
        self._left -= len(taken)
        self.payload.append(taken)
        if self._chain is not None:
            self._hash.update(taken)
        if not self._left:
            self._state = _DATA_END
        return stop

    def _take_line(self, line: bytes) -> None:
        if self._state == _LINE:
            self._begin_chunk(line)
        elif self._state == _TRAILER:
            if line:
                self._lines.append(line)
                if len(self._lines) > _MAX_TRAILER_LINES:
                    raise MalformedTrailerError()
            else:
                self._end_trailer()
        elif line:  # after data, or after the zero chunk: nothing but a line break
            raise IncompleteBody()
        elif self._state == _DATA_END:
            self._check_signature()
            self._state = _LINE
        else:
            self._state = _OVER

    def _begin_chunk(self, line: bytes) -> None:
        digits, *parameters = [part.strip(b" \t") for part in line.split(b";")]
        if not 0 < len(digits) <= 16 or not _HEX.issuperset(digits):
            raise IncompleteBody("A chunk does not begin with its size.")
        size = int(digits, 16)
        self._signature = self._signature_in(parameters)
        self._total += size
        if size:
            self._check_size()
            self._size = self._left = size
            self._state = _DATA
            return
        self._check_signature()
        if self._total != self._length:
            raise IncompleteBody()
        self._state = _TRAILER if self._has_trailer else _LAST

    def _check_size(self) -> None:
        if self._total > self._length:
            raise IncompleteBody()
        if self._chain is not None and self._size < MIN_CHUNK:
            raise InvalidChunkSizeError(bad_chunk_size=self._size)

    def _signature_in(self, parameters: list[bytes]) -> str:
        if self._chain is None:
            if parameters:
                raise IncompleteBody("A chunk of an unsigned body has a parameter.")
            return ""
        pairs = [[side.strip(b" \t") for side in one.split(b"=", 1)] for one in parameters]
        names = [pair[0] for pair in pairs]
        if _SIGNATURE not in names:
            raise IncompleteBody("A chunk has no signature.")
        if names[0] != _SIGNATURE:
            raise SignatureDoesNotMatch()
        given = pairs[0][1].decode("latin-1") if len(pairs[0]) == 2 else ""
        if len(pairs) > 1 or not sigv4_claim.is_hex64(given):
            raise IncompleteBody("A chunk's signature is malformed.")
        return given

    def _check_signature(self) -> None:
        """Verify the chunk that has just ended, and begin the next one's digest."""
        if self._chain is None:
            return
        expected = self._chain.chunk(self._hash.hexdigest())
        if not sigv4.is_same(expected, self._signature):
            raise SignatureDoesNotMatch()
        self._hash = sha256()

    def _end_trailer(self) -> None:
        found: dict[str, str] = {}
        for line in self._lines:
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon:
                raise MalformedTrailerError()
            found[name.strip(" \t").lower()] = value.strip(" \t")
        signature = found.pop(_TRAILER_SIGNATURE, None)
        if set(found) != ({self._announced} if self._announced else set()):
            raise MalformedTrailerError()
        if self._chain is not None and (found or signature is not None):
            self._check_trailer(found, signature or "")
        for name, value in found.items():
            checksums.decode(checksums.HEADERS[name], value)
        self.trailer.update(found)
        self._state = _OVER

    def _check_trailer(self, found: dict[str, str], signature: str) -> None:
        assert self._chain is not None
        if not sigv4_claim.is_hex64(signature):
            raise IncompleteBody("The trailer has no signature.")
        block = "".join(f"{name}:{value}\n" for name, value in found.items())
        if not sigv4.is_same(self._chain.trailer(block.encode("latin-1")), signature):
            raise SignatureDoesNotMatch()


class ChunkedBody:
    """The payload inside a framed body."""

    __slots__ = ("_decoder", "_is_signed", "_source", "length")

    def __init__(self, source: Body, decoder: Decoder, *, length: int, is_signed: bool) -> None:
        self.length: int | None = length
        self._source = source
        self._decoder = decoder
        self._is_signed = is_signed

    @property
    def trailer(self) -> dict[str, str]:
        return self._decoder.trailer

    async def read(self) -> bytes:
        decoder = self._decoder
        while not decoder.payload:
            piece = await self._source.read()
            if not piece:
                decoder.finish()
                return b""
            if self._is_signed and len(piece) >= _THREAD_FROM:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(None, decoder.feed, piece)
            else:
                decoder.feed(piece)
        return decoder.payload.popleft()
