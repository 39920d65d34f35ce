"""Signature Version 4, pure: from raw bytes to yes or no.

Here: the canonical request, keys, chunk and trailer signatures. Not here: what a request says of
its signature (core.sigv4_claim), which requests need what (s3.gate), the clock, any look-up.

Everything is computed from the raw path, query and header bytes, which are never normalised: what
was signed is what is routed. Comparisons of signatures take the same time whatever differs.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256

from core.checksums import EMPTY_SHA256
from core.errors import SignatureDoesNotMatch
from core.sigv4_claim import ALGORITHM, Claim

UNSIGNED = "UNSIGNED-PAYLOAD"
STREAMING = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
STREAMING_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
STREAMING_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
CONSTANTS = frozenset({UNSIGNED, STREAMING, STREAMING_TRAILER, STREAMING_UNSIGNED_TRAILER})
_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"
_QUERY_SAFE = _UNRESERVED + b"%"
_PATH_SAFE = _UNRESERVED + b"%/"
# What Latin-1 further calls a space may be part of a letter's UTF-8 bytes.
_BLANKS = re.compile(r"[ \t]+")


def canonical_request(
    *,
    method: str,
    raw_path: bytes,
    raw_query: bytes,
    headers: Mapping[str, str],
    signed_headers: str,
    payload_hash: str,
    leave_out: bytes = b"",
) -> bytes:
    """The canonical request. `leave_out` names the query parameter holding the signature."""
    lines = []
    for name in signed_headers.split(";"):
        value = headers.get(name, "").strip(" \t")
        if "  " in value or "\t" in value:
            value = _BLANKS.sub(" ", value)
        lines.append(f"{name}:{value}\n")
    tail = f"{''.join(lines)}\n{signed_headers}\n{payload_hash}".encode("latin-1", "replace")
    query = canonical_query(raw_query, leave_out) if raw_query else b""
    return b"%b\n%b\n%b\n%b" % (method.encode(), raw_path, query, tail)


def canonical_query(raw_query: bytes, leave_out: bytes = b"") -> bytes:
    """The query sorted by name and value, a name without value written `name=`."""
    pairs = []
    for piece in raw_query.split(b"&"):
        if not piece:
            continue
        name, _, value = piece.partition(b"=")
        name, value = _escaped(name), _escaped(value)
        if name != leave_out or not leave_out:
            pairs.append((name, value))
    pairs.sort()
    return b"&".join([name + b"=" + value for name, value in pairs])


def escaped_path(raw_path: bytes) -> bytes:
    """The path with every byte escaped that a client may have signed escaped but sent bare.

    What is escaped already stays as it is, so the decoded path is the same.
    """
    return _escape(raw_path, _PATH_SAFE)


def string_to_sign(timestamp: str, scope: str, canonical: bytes) -> bytes:
    digest = sha256(canonical).hexdigest()
    return f"{ALGORITHM}\n{timestamp}\n{scope}\n{digest}".encode()


_keys: dict[tuple[str, str, str, str], bytes] = {}


def signing_key(secret: str, day: str, region: str, service: str = "s3") -> bytes:
    """The key of one secret, day and region; remembered."""
    wanted = (secret, day, region, service)
    known = _keys.get(wanted)
    if known is None:
        known = _mac(b"AWS4" + secret.encode(), day.encode())
        for part in (region, service, "aws4_request"):
            known = _mac(known, part.encode())
        if len(_keys) >= 4096:
            _keys.clear()
        _keys[wanted] = known
    return known


def sign(key: bytes, text: bytes) -> str:
    return hmac.digest(key, text, "sha256").hex()


def verify(
    claim: Claim,
    secret: str,
    *,
    method: str,
    raw_path: bytes,
    raw_query: bytes,
    headers: Mapping[str, str],
    payload_hash: str,
) -> bytes:
    """The signing key when the claim holds; `SignatureDoesNotMatch` when it does not."""
    key = signing_key(secret, claim.day, claim.region, claim.service)
    scope = claim.scope
    leave_out = b"X-Amz-Signature" if claim.is_query else b""
    path = raw_path
    while True:
        canonical = canonical_request(
            method=method,
            raw_path=path,
            raw_query=raw_query,
            headers=headers,
            signed_headers=claim.signed_headers,
            payload_hash=payload_hash,
            leave_out=leave_out,
        )
        text = string_to_sign(claim.timestamp, scope, canonical)
        if hmac.compare_digest(sign(key, text), claim.signature):
            return key
        escaped = escaped_path(path)
        if escaped == path:
            break
        path = escaped
    raise SignatureDoesNotMatch(
        AWSAccessKeyId=claim.access_key,
        string_to_sign=text.decode("utf-8", "replace"),
        signature_provided=claim.signature,
        canonical_request=canonical.decode("utf-8", "replace"),
    )


class ChunkChain:
    """The chain of chunk signatures that begins with the request's own."""

    __slots__ = ("_head", "_key", "_previous", "_trailer_head")

    def __init__(self, key: bytes, timestamp: str, scope: str, seed: str) -> None:
        self._key = key
        self._head = f"AWS4-HMAC-SHA256-PAYLOAD\n{timestamp}\n{scope}\n"
        self._trailer_head = f"AWS4-HMAC-SHA256-TRAILER\n{timestamp}\n{scope}\n"
        self._previous = seed

    def chunk(self, digest_hex: str) -> str:
        """The signature of the next chunk, whose SHA-256 is given."""
        text = f"{self._head}{self._previous}\n{EMPTY_SHA256}\n{digest_hex}"
        self._previous = sign(self._key, text.encode())
        return self._previous

    def trailer(self, block: bytes) -> str:
        """The signature of the trailer block `name:value\\n...`."""
        text = f"{self._trailer_head}{self._previous}\n{sha256(block).hexdigest()}"
        return sign(self._key, text.encode())


def is_same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode("latin-1", "replace"))


def quote(text: str, *, keep_slash: bool) -> str:
    """RFC 3986 escapes, upper-case hex, `~` bare."""
    return _escape(text.encode(), _UNRESERVED + b"/" if keep_slash else _UNRESERVED).decode()


def _escaped(raw: bytes) -> bytes:
    if not raw.translate(None, _QUERY_SAFE):
        return raw
    return _escape(raw.replace(b"+", b" "), _QUERY_SAFE)


def _escape(raw: bytes, safe: Iterable[int]) -> bytes:
    allowed = frozenset(safe)
    return b"".join(b"%c" % byte if byte in allowed else b"%%%02X" % byte for byte in raw)


def _mac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")
