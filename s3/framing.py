"""From headers to body: how long it is, how it is framed, what it must hash to.

Here: Content-Length, Transfer-Encoding, the modes of `x-amz-content-sha256`, announced trailers.
Not here: reading (s3.body, s3.chunked), authentication (s3.gate).

Called after the gate: only then is the first byte read, which is what answers `Expect`.
"""

from __future__ import annotations

from pathlib import Path

from core import checksums, sigv4
from core.config import Limits
from core.errors import (
    EntityTooLarge,
    InvalidRequest,
    MalformedTrailerError,
    MissingContentLength,
    OperationNotImplemented,
)
from core.streams import EMPTY, Body
from s3.body import (
    Hashed,
    Incoming,
    Receive,
    Watch,
    check_payload,
    gathered,
    unwanted,
)
from s3.chunked import ChunkedBody, Decoder
from s3.unannounced import announced
from s3.wire import Call

_STREAMING = {
    # mode -> (chunks are signed, a trailer follows)
    sigv4.STREAMING: (True, False),
    sigv4.STREAMING_TRAILER: (True, True),
    sigv4.STREAMING_UNSIGNED_TRAILER: (False, True),
}
_MAX_DIGITS = 19


class Framing:
    """Makes the body of each call."""

    def __init__(self, limits: Limits, watch: Watch, directory: Path) -> None:
        self._limits = limits
        self._directory = directory
        self._watch = watch

    def incoming(self, call: Call, receive: Receive) -> Incoming | None:
        """The raw body; None when the request has none."""
        headers = call.headers
        declared = headers.get("content-length")
        if declared is not None:
            length = _size(declared)
            return Incoming(receive, length, self._watch) if length else None
        coding = headers.get("transfer-encoding")
        if coding is None:
            return None
        if coding.strip().lower() != "chunked":
            raise OperationNotImplemented(header="Transfer-Encoding", value=coding)
        return Incoming(receive, None, self._watch)

    async def payload(self, call: Call, incoming: Incoming | None, kind: str) -> Body:
        """The body a handler reads. `kind` is what the operation expects: none, xml or payload.

        One that nobody reads must still be the one that was signed: see `unwanted`.
        """
        mode = call.headers.get("x-amz-content-sha256", "")
        if mode in _STREAMING:
            return await self._framed(call, incoming, kind, mode)
        if "x-amz-trailer" in call.headers:
            raise MalformedTrailerError()
        expected = call.payload_sha256
        if incoming is None:
            if kind == "payload" and "content-length" not in call.headers:
                raise MissingContentLength()
            if expected is not None:
                check_payload(expected, checksums.EMPTY_SHA256)
            return EMPTY
        self._check_size(incoming.length)
        if kind == "payload":
            if incoming.length is None:
                limit = self._limits.put_bytes
                return await announced(incoming, limit=limit, directory=self._directory)
            return await gathered(incoming)
        if kind == "none" and expected is not None:
            return await unwanted(incoming, expected)
        return incoming if expected is None else Hashed(incoming, expected)

    async def _framed(self, call: Call, incoming: Incoming | None, kind: str, mode: str) -> Body:
        is_signed, has_trailer = _STREAMING[mode]
        length = _decoded_length(call.headers.get("x-amz-decoded-content-length"))
        trailer = _announced(call.headers.get("x-amz-trailer"), has_trailer)
        self._check_size(length)
        chain = None
        if is_signed:
            if call.signature is None:
                raise InvalidRequest("A signed streaming body needs a signed request.")
            chain = call.signature.chain()
        decoder = Decoder(length=length, chain=chain, has_trailer=has_trailer, announced=trailer)
        body = ChunkedBody(incoming or EMPTY, decoder, length=length, is_signed=is_signed)
        return await gathered(body)

    def _check_size(self, length: int | None) -> None:
        limit = self._limits.put_bytes
        if length is not None and length > limit:
            raise EntityTooLarge(proposed_size=length, max_size_allowed=limit)


def _size(declared: str) -> int:
    if not (declared.isascii() and declared.isdigit() and len(declared) <= _MAX_DIGITS):
        raise InvalidRequest("Content-Length is not a number.")
    return int(declared)


def _decoded_length(declared: str | None) -> int:
    text = (declared or "").strip()
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise MissingContentLength()
    return int(text)


def _announced(header: str | None, has_trailer: bool) -> str | None:
    """The one trailer a request announces, in lower case."""
    if header is None:
        return None
    if not has_trailer:
        raise MalformedTrailerError()
    names = [name.strip().lower() for name in header.split(",") if name.strip()]
    if not names:
        return None
    if len(names) > 1:
        raise InvalidRequest("Expecting a single x-amz-checksum- header. Multiple are not allowed.")
    if names[0] not in checksums.HEADERS:
        raise InvalidRequest("The value specified in the x-amz-trailer header is not supported")
    return names[0]
