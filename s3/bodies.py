"""What a request claims about its body, and reading the small bodies that are documents.

Here: Content-MD5, the five checksums as headers or trailer, whole XML bodies checked against both.
Not here: payload hash, framing and trailers (the body itself has verified them when it ends);
object payloads (the verbs check their claims while the bytes stream).
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from core import checksums
from core.errors import (
    BadDigest,
    EntityTooLarge,
    InvalidDigest,
    InvalidRequest,
    MalformedXML,
)
from core.streams import read_all
from s3 import xml
from s3.wire import Call

_NOT_VALUES = frozenset(("x-amz-checksum-mode", "x-amz-checksum-type", "x-amz-checksum-algorithm"))


@dataclass(frozen=True, kw_only=True, slots=True)
class ChecksumClaim:
    """One of the five checksums: its value, or None when it comes in the trailer."""

    algorithm: str
    value: str | None


def content_md5(headers: Mapping[str, str]) -> bytes | None:
    """Return the raw digest that Content-MD5 claims."""
    text = headers.get("content-md5")
    if text is None:
        return None
    try:
        raw = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != 16:
        raise InvalidDigest()
    return raw


def checksum_claim(headers: Mapping[str, str]) -> ChecksumClaim | None:
    """Return the one checksum the request carries or announces."""
    claims = [_claim(name, value) for name, value in headers.items() if _is_checksum(name)]
    trailer = headers.get("x-amz-trailer", "").strip(" ,").lower()
    if trailer in checksums.HEADERS:
        claims.append(ChecksumClaim(algorithm=checksums.HEADERS[trailer], value=None))
    if len(claims) > 1:
        raise InvalidRequest("Expecting a single x-amz-checksum- header. Multiple are not allowed.")
    named = headers.get("x-amz-sdk-checksum-algorithm")
    if named is not None:
        _agree(checksums.check_algorithm(named), claims)
    return claims[0] if claims else None


def _is_checksum(name: str) -> bool:
    return name.startswith(checksums.HEADER_PREFIX) and name not in _NOT_VALUES


def _claim(name: str, value: str) -> ChecksumClaim:
    algorithm = checksums.HEADERS.get(name)
    if algorithm is None:
        raise InvalidRequest(
            "The algorithm type you specified in x-amz-checksum- header is invalid."
        )
    checksums.decode(algorithm, value)
    return ChecksumClaim(algorithm=algorithm, value=value)


def _agree(algorithm: str, claims: list[ChecksumClaim]) -> None:
    if not claims:
        raise InvalidRequest(
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-*"
            " or x-amz-trailer headers were found."
        )
    if claims[0].algorithm != algorithm:
        raise InvalidRequest("Value for x-amz-sdk-checksum-algorithm header is invalid.")


async def read_whole(call: Call) -> bytes:
    """Read a whole body that is a document and check Content-MD5, but no other claim."""
    md5 = content_md5(call.headers)
    try:
        body = await read_all(call.body, xml.MAX_BYTES)
    except EntityTooLarge as error:
        raise MalformedXML() from error
    if md5 is not None:
        found = checksums.digest("MD5", body)
        if found != md5:
            raise BadDigest(
                expected_digest=call.headers["content-md5"],
                calculated_digest=checksums.encode(found),
            )
    return body


async def read_document(call: Call, *, must_be_checked: bool = False) -> bytes:
    """Read a whole XML body and check what the request claims about it.

    `must_be_checked` refuses a request that claims nothing.
    """
    claim = checksum_claim(call.headers)
    if must_be_checked and claim is None and "content-md5" not in call.headers:
        raise InvalidRequest("Missing required header for this request: Content-MD5")
    body = await read_whole(call)
    if claim is not None:
        _check(claim, body, call.body.trailer)
    return body


def _check(claim: ChecksumClaim, body: bytes, trailer: Mapping[str, str]) -> None:
    name = checksums.HEADER_PREFIX + claim.algorithm.lower()
    value = claim.value if claim.value is not None else trailer.get(name)
    if value is None or checksums.decode(claim.algorithm, value) != checksums.digest(
        claim.algorithm, body
    ):
        raise BadDigest(f"The {claim.algorithm} you specified did not match what we received.")
