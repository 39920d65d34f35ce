"""Requests to a gateway in this process, byte for byte as a test made them.

Here: a request as its parts in bytes, signing one in each way S3 knows, and sending it.
Not here: the store behind the gateway (asgi.FakeStore, tests.support.house).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from hashlib import sha256
from urllib.parse import urlsplit

from core import checksums, sigv4
from core.sigv4_client import Signer
from tests.support.asgi import ENDPOINT, Client, Response
from tests.support.framing import frames

CRC = "x-amz-checksum-crc32"
MIN_CHUNK = 8192
PRESIGNED_S = 3600


@dataclass(frozen=True, kw_only=True)
class Request:
    """What goes over the wire: names of headers in lower case, as a server hands them on."""

    method: str
    path: bytes
    query: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""

    def with_header(self, name: bytes, value: bytes) -> Request:
        """The same with one header replaced or added."""
        kept = tuple(pair for pair in self.headers if pair[0] != name)
        return replace(self, headers=(*kept, (name, value)))

    def without_header(self, name: bytes) -> Request:
        return replace(self, headers=tuple(pair for pair in self.headers if pair[0] != name))

    @property
    def signed_names(self) -> list[bytes]:
        """Names of the headers under the signature."""
        given = dict(self.headers).get(b"authorization", b"").decode()
        if not given:
            given = self.query.decode().replace("%3B", ";").replace("X-Amz-", "")
            return given.partition("SignedHeaders=")[2].partition("&")[0].encode().split(b";")
        return given.partition("SignedHeaders=")[2].partition(",")[0].encode().split(b";")


class RawClient(Client):
    """Sends a request's very bytes."""

    async def send(self, request: Request) -> Response:
        scope = {
            "type": "http",
            "http_version": "1.1",
            "scheme": "http",
            "method": request.method,
            "path": request.path.decode("latin-1"),
            "raw_path": request.path,
            "query_string": request.query,
            "headers": list(request.headers),
            "client": ("127.0.0.1", "50000"),
        }
        return await self._speak(scope, [request.body])


def plain(
    method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Request:
    """Nobody's request."""
    sent = {"host": urlsplit(ENDPOINT).netloc, **(headers or {})}
    return _request(method, target, sent, body)


def in_header(
    signer: Signer,
    method: str,
    target: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    now: datetime | None = None,
) -> Request:
    """Signed in its headers, the payload by its SHA-256."""
    sent = signer.headers(
        method,
        ENDPOINT + target,
        payload_hash=sha256(body).hexdigest(),
        headers=headers,
        now=now,
    )
    return _request(method, target, sent, body)


def presigned(
    signer: Signer,
    method: str,
    target: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    now: datetime | None = None,
) -> Request:
    """Signed in its query, the payload not at all."""
    url = signer.presign(method, ENDPOINT + target, expires_s=PRESIGNED_S, headers=headers, now=now)
    parts = urlsplit(url)
    sent = {"host": parts.netloc, **(headers or {})}
    return _request(method, f"{parts.path}?{parts.query}", sent, body)


def framed(
    mode: str,
    signer: Signer,
    method: str,
    target: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    now: datetime | None = None,
) -> Request:
    """The payload in chunks, signed as the mode has it."""
    has_trailer = mode != sigv4.STREAMING
    given = {**(headers or {}), "x-amz-decoded-content-length": str(len(body))}
    if has_trailer:
        given["x-amz-trailer"] = CRC
    sent = signer.headers(method, ENDPOINT + target, payload_hash=mode, headers=given, now=now)
    chain = None if mode == sigv4.STREAMING_UNSIGNED_TRAILER else signer.chain(sent)
    pieces = [body[at : at + MIN_CHUNK] for at in range(0, len(body), MIN_CHUNK)]
    trailer = f"{CRC}:{crc32_of(body)}".encode() if has_trailer else b""
    return _request(method, target, sent, frames(*pieces, trailer=trailer, signed=chain))


# Signed chunk by chunk.
chunked = partial(framed, sigv4.STREAMING)
# And a signed checksum after the last.
with_trailer = partial(framed, sigv4.STREAMING_TRAILER)
# Only the head is signed; the payload is vouched for by a checksum after it.
with_unsigned_trailer = partial(framed, sigv4.STREAMING_UNSIGNED_TRAILER)


def crc32_of(body: bytes) -> str:
    """The checksum as a header or trailer writes it."""
    return checksums.encode(checksums.digest("CRC32", body))


def _request(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Request:
    path, _, query = target.partition("?")
    sent = dict(headers)
    if body or method in ("PUT", "POST"):
        sent["content-length"] = str(len(body))
    return Request(
        method=method,
        path=path.encode(),
        query=query.encode(),
        headers=tuple((n.encode(), v.encode("latin-1")) for n, v in sent.items()),
        body=body,
    )
