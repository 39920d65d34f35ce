"""Signature Version 4, pure: from raw bytes to yes or no.

Here: parsing what a client signed, the canonical request, keys, chunk and trailer signatures. Not
here: which requests need what (s3.gate), the clock, any look-up.

Everything is computed from the raw path, query and header bytes, which are never normalised: what
was signed is what is routed. Comparisons of signatures take the same time whatever differs.
"""

from __future__ import annotations

import calendar
import email.utils
import hmac
import re
import time
from collections.abc import Iterable, Mapping
from hashlib import sha256

from core.checksums import EMPTY_SHA256
from core.errors import (
    AuthorizationHeaderMalformed,
    AuthorizationQueryParametersError,
    SignatureDoesNotMatch,
    StoreError,
)

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
STREAMING = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
STREAMING_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
STREAMING_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
CONSTANTS = frozenset({UNSIGNED, STREAMING, STREAMING_TRAILER, STREAMING_UNSIGNED_TRAILER})
QUERY_FIELDS = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
)

_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"
_QUERY_SAFE = _UNRESERVED + b"%"
_PATH_SAFE = _UNRESERVED + b"%/"
_HEX = frozenset("0123456789abcdef")
# What Latin-1 further calls a space may be part of a letter's UTF-8 bytes.
_BLANKS = re.compile(r"[ \t]+")


class Claim:
    """What a request says about who signed it, and how."""

    __slots__ = (
        "access_key",
        "day",
        "expires_s",
        "is_query",
        "region",
        "service",
        "signature",
        "signed_headers",
        "timestamp",
    )

    def __init__(
        self,
        *,
        access_key: str,
        day: str,
        region: str,
        service: str,
        signed_headers: str,
        signature: str,
        timestamp: str = "",
        expires_s: int | None = None,
        is_query: bool = False,
    ) -> None:
        self.access_key = access_key
        self.day = day
        self.region = region
        self.service = service
        self.signed_headers = signed_headers
        self.signature = signature
        self.timestamp = timestamp
        self.expires_s = expires_s
        self.is_query = is_query

    @property
    def scope(self) -> str:
        return f"{self.day}/{self.region}/{self.service}/aws4_request"


def parse_authorization(value: str) -> Claim:
    """The claim in an `Authorization: AWS4-HMAC-SHA256 ...` header."""
    fields = {}
    for piece in value[len(ALGORITHM) :].split(","):
        name, equals, content = piece.strip(" \t").partition("=")
        if not equals or not content or name in fields:
            raise AuthorizationHeaderMalformed()
        fields[name] = content
    try:
        credential, names, signature = (
            fields["Credential"],
            fields["SignedHeaders"],
            fields["Signature"],
        )
    except KeyError as missing:
        raise AuthorizationHeaderMalformed(f"Missing {missing.args[0]}.") from None
    if not is_hex64(signature):
        raise AuthorizationHeaderMalformed("Signature must be 64 hex digits.")
    access_key, day, region, service = _scope_of(credential, AuthorizationHeaderMalformed)
    return Claim(
        access_key=access_key,
        day=day,
        region=region,
        service=service,
        signed_headers=names,
        signature=signature,
    )


def parse_query(query: Mapping[str, str]) -> Claim:
    """The claim in a presigned URL's query. The range of `X-Amz-Expires` is the gate's business."""
    fields = {name: query.get(name, "") for name in QUERY_FIELDS}
    if not all(fields.values()):
        raise AuthorizationQueryParametersError(
            "Query-string authentication version 4 requires the "
            + ", ".join(QUERY_FIELDS[:-1])
            + ", and X-Amz-Signature parameters."
        )
    if fields["X-Amz-Algorithm"] != ALGORITHM:
        raise AuthorizationQueryParametersError("X-Amz-Algorithm only supports AWS4-HMAC-SHA256.")
    if not is_hex64(fields["X-Amz-Signature"]):
        raise AuthorizationQueryParametersError("X-Amz-Signature must be 64 hex digits.")
    if parse_timestamp(fields["X-Amz-Date"]) is None:
        raise AuthorizationQueryParametersError(
            "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"."
        )
    access_key, day, region, service = _scope_of(
        fields["X-Amz-Credential"], AuthorizationQueryParametersError
    )
    if day != fields["X-Amz-Date"][:8]:
        raise AuthorizationQueryParametersError(
            "The date of the credential does not match X-Amz-Date."
        )
    return Claim(
        access_key=access_key,
        day=day,
        region=region,
        service=service,
        signed_headers=fields["X-Amz-SignedHeaders"],
        signature=fields["X-Amz-Signature"],
        timestamp=fields["X-Amz-Date"],
        expires_s=_integer(fields["X-Amz-Expires"]),
        is_query=True,
    )


_parsed_times: dict[str, int] = {}


def parse_timestamp(text: str) -> int | None:
    """Seconds since 1970 of `yyyymmddThhmmssZ`; None when it is no such time or before 1970."""
    known = _parsed_times.get(text)
    if known is not None:
        return known
    if len(text) != 16 or text[8] != "T" or text[15] != "Z":
        return None
    digits = text[:8] + text[9:15]
    if not (digits.isascii() and digits.isdigit()):
        return None
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:8])
    hour, minute, second = int(digits[8:10]), int(digits[10:12]), int(digits[12:])
    if year < 1970 or not 1 <= month <= 12 or not 1 <= day <= calendar.monthrange(year, month)[1]:
        return None
    if hour > 23 or minute > 59 or second > 60:
        return None
    value = calendar.timegm((year, month, day, hour, minute, second))
    if len(_parsed_times) > 4096:
        _parsed_times.clear()
    _parsed_times[text] = value
    return value


def timestamp_of_date(text: str) -> str | None:
    """The `yyyymmddThhmmssZ` form of a `Date` header in RFC 1123 or ISO 8601 basic form."""
    if parse_timestamp(text) is not None:
        return text
    try:
        moment = email.utils.parsedate_to_datetime(text)
        shown = moment.utctimetuple()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    if shown.tm_year < 1970:
        return None
    return time.strftime("%Y%m%dT%H%M%SZ", shown)


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
    given = claim.signature.encode()
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
        if hmac.compare_digest(sign(key, text).encode(), given):
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


def is_hex64(text: str) -> bool:
    """Whether `text` is 64 lower-case hex digits."""
    return len(text) == 64 and _HEX.issuperset(text)


def quote(text: str, *, keep_slash: bool) -> str:
    """RFC 3986 escapes, upper-case hex, `~` bare."""
    return _escape(text.encode(), _UNRESERVED + b"/" if keep_slash else _UNRESERVED).decode()


def _scope_of(credential: str, error: type[StoreError]) -> tuple[str, str, str, str]:
    # Access keys may hold slashes; the scope's four fields may not.
    fields = credential.rsplit("/", 4)
    if len(fields) != 5 or fields[4] != "aws4_request" or not all(fields):
        raise error(
            "The Credential is mal-formed; expecting "
            '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
        )
    if len(fields[1]) != 8 or not fields[1].isdigit():
        raise error("The Credential's date must be YYYYMMDD.")
    return fields[0], fields[1], fields[2], fields[3]


def _escaped(raw: bytes) -> bytes:
    if not raw.translate(None, _QUERY_SAFE):
        return raw
    return _escape(raw.replace(b"+", b" "), _QUERY_SAFE)


def _escape(raw: bytes, safe: Iterable[int]) -> bytes:
    allowed = frozenset(safe)
    return b"".join(b"%c" % byte if byte in allowed else b"%%%02X" % byte for byte in raw)


def _integer(text: str) -> int:
    digits = text[1:] if text[:1] == "-" else text
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise AuthorizationQueryParametersError("X-Amz-Expires should be a number.")
    return int(text)


def _mac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")
