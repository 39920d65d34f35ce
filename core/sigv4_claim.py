"""What a request says about its signature: who made it, over what, when.

Here: the `Authorization` header and the presigned query taken apart, and their times. Not here:
whether the signature holds (core.sigv4), whether the claim is allowed (s3.gate).
"""

from __future__ import annotations

import calendar
import email.utils
import re
import time
from collections.abc import Mapping

from core.errors import (
    AuthorizationHeaderMalformed,
    AuthorizationQueryParametersError,
    StoreError,
)

ALGORITHM = "AWS4-HMAC-SHA256"
QUERY_FIELDS = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
)

_HEX64 = re.compile("[0-9a-f]{64}")


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
        access_key: str,
        day: str,
        region: str,
        service: str,
        signed_headers: str,
        signature: str,
        *,
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


# What a client's requests of one day have in common, by the header's text up to the signature:
# access key, day, region, service, signed headers.
_heads: dict[str, tuple[str, str, str, str, str]] = {}
_HEADS = 4096
# A longer one is read anew each time: strangers may send it, too.
_HEAD_LENGTH = 1024


def parse_authorization(value: str) -> Claim:
    """The claim in an `Authorization: AWS4-HMAC-SHA256 ...` header."""
    head, _, signature = value.rpartition("Signature=")
    known = _heads.get(head)
    if known is not None and is_hex64(signature):
        return Claim(*known, signature)
    claim = _parsed_authorization(value)
    if claim.signature == signature and len(head) <= _HEAD_LENGTH:
        if len(_heads) >= _HEADS:
            _heads.clear()
        _heads[head] = (
            claim.access_key,
            claim.day,
            claim.region,
            claim.service,
            claim.signed_headers,
        )
    return claim


def _parsed_authorization(value: str) -> Claim:
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
    scope = _scope_of(credential, AuthorizationHeaderMalformed)
    return Claim(*scope, names, signature)


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
    scope = _scope_of(fields["X-Amz-Credential"], AuthorizationQueryParametersError)
    if scope[1] != fields["X-Amz-Date"][:8]:
        raise AuthorizationQueryParametersError(
            "The date of the credential does not match X-Amz-Date."
        )
    return Claim(
        *scope,
        fields["X-Amz-SignedHeaders"],
        fields["X-Amz-Signature"],
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


def is_hex64(text: str) -> bool:
    """Whether `text` is 64 lower-case hex digits."""
    return _HEX64.fullmatch(text) is not None


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


def _integer(text: str) -> int:
    digits = text[1:] if text[:1] == "-" else text
    if not (digits.isascii() and digits.isdigit()):
        raise AuthorizationQueryParametersError("X-Amz-Expires should be a number.")
    # Longer numbers are out of range too, and cost nothing to read.
    return int(text[:18])
