"""What a request wants to keep with an object: one pass over its headers.

Here: system headers, user metadata, tags, storage class, canned ACL, digests, conditions.
Not here: their storing (objects), conditions of reads (s3.conditions).

Promise: a header that asks for something this store does not do is refused, never ignored.
Header values are kept as they came, byte for byte (as Latin-1 text), and go back the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from core.errors import (
    InvalidArgument,
    InvalidRequest,
    InvalidStorageClass,
    MetadataTooLarge,
    OperationNotImplemented,
)
from objects.draft import UNCONDITIONAL, Conditions, Draft
from s3.bodies import checksum_claim, content_md5
from s3.conditions import parse_http_date
from s3.described import SYSTEM_HEADERS
from s3.ownership import check_acl
from s3.paging import number
from s3.shapes.acl import OBJECT_CANNED, checked_canned
from s3.shapes.tagging import parse_tagging_header
from s3.subject import bucket_of
from s3.wire import Call

MAX_METADATA_BYTES = 2048
_MAX_SIZE = 2**63 - 1
STORAGE_CLASSES = frozenset(
    (
        "STANDARD",
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER",
        "GLACIER_IR",
        "DEEP_ARCHIVE",
    )
)
_META = "x-amz-meta-"
_CONDITIONAL = frozenset(
    ("if-match", "if-none-match", "x-amz-if-match-size", "x-amz-if-match-last-modified-time")
)


def stored_headers(headers: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the system headers and the user metadata a request wants kept."""
    system: dict[str, str] = {}
    metadata: dict[str, str] = {}
    size = 0
    for name, value in headers.items():
        if name.startswith("x-amz-"):
            if name.startswith(_META):
                metadata[name[11:]] = value
                size += len(name) - 11 + len(value)
            elif name.startswith(_UNKEPT):
                _refuse(name, headers)
            elif name in SYSTEM_HEADERS:
                system[name] = value
        elif name in SYSTEM_HEADERS and value:
            system[name] = value
    if size > MAX_METADATA_BYTES:
        raise MetadataTooLarge(size=size, max_size_allowed=MAX_METADATA_BYTES)
    if "content-encoding" in system:
        _unchunk(system)
    return system, metadata


def refuse_unkept(headers: Mapping[str, str]) -> None:
    """Refuse headers that ask for what this store does not do."""
    for name in headers:
        if name.startswith(_UNKEPT):
            _refuse(name, headers)


_UNKEPT = (
    "x-amz-server-side-encryption",
    "x-amz-grant-",
    "x-amz-object-lock-",
    "x-amz-write-offset-bytes",
)


def _refuse(name: str, headers: Mapping[str, str]) -> None:
    if name.startswith("x-amz-object-lock-"):
        raise InvalidRequest("Bucket is missing Object Lock Configuration")
    if name.startswith("x-amz-grant-") and "x-amz-acl" in headers:
        raise InvalidRequest("Specifying both Canned ACLs and Header Grants is not allowed")
    raise OperationNotImplemented(header=name)


def _unchunk(system: dict[str, str]) -> None:
    """Drop `aws-chunked`, which described the request and not the object."""
    codings = [coding.strip() for coding in system["content-encoding"].split(",")]
    kept = [coding for coding in codings if coding and coding.lower() != "aws-chunked"]
    if kept == codings:
        return
    if kept:
        system["content-encoding"] = ", ".join(kept)
    else:
        del system["content-encoding"]


def storage_class(headers: Mapping[str, str]) -> str:
    """Return the storage class a request asks for."""
    name = headers.get("x-amz-storage-class")
    if name is None:
        return "STANDARD"
    if name not in STORAGE_CLASSES:
        raise InvalidStorageClass(storage_class_requested=name)
    return name


def canned_acl(call: Call) -> str | None:
    """Return the canned ACL a request asks for an object."""
    name = call.headers.get("x-amz-acl")
    if name is None:
        return None
    check_acl(bucket_of(call), checked_canned(name, OBJECT_CANNED))
    return name


def tags(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of the x-amz-tagging header."""
    header = headers.get("x-amz-tagging")
    return {} if header is None else parse_tagging_header(header)


def conditions(headers: Mapping[str, str]) -> Conditions:
    """Return the conditions of a write or a delete."""
    if headers.keys().isdisjoint(_CONDITIONAL):
        return UNCONDITIONAL
    size = headers.get("x-amz-if-match-size")
    moment = headers.get("x-amz-if-match-last-modified-time")
    return Conditions(
        if_match=headers.get("if-match"),
        if_none_match=headers.get("if-none-match"),
        if_match_size=None
        if size is None
        else number("x-amz-if-match-size", size, least=0, most=_MAX_SIZE),
        if_match_last_modified=None if moment is None else _moment(moment),
    )


def _moment(text: str) -> datetime:
    moment = parse_http_date(text)
    if moment is None:
        raise InvalidArgument(
            argument_name="x-amz-if-match-last-modified-time", argument_value=text
        )
    return moment


def put_draft(call: Call) -> Draft:
    """Read everything a PutObject says beside its bytes."""
    headers = call.headers
    system, metadata = stored_headers(headers)
    return Draft(
        headers=system,
        metadata=metadata,
        tags=tags(headers),
        storage_class=storage_class(headers),
        acl=canned_acl(call),
        content_md5=content_md5(headers),
        sha256=call.payload_sha256,
        checksum=checksum_claim(headers),
        conditions=conditions(headers),
        size=call.body.length,
    )


def upload_draft(call: Call) -> Draft:
    """Read everything a CreateMultipartUpload says of the object to be."""
    system, metadata = stored_headers(call.headers)
    return bodiless(
        call,
        headers=system,
        metadata=metadata,
        tags=tags(call.headers),
        conditions=UNCONDITIONAL,
    )


def bodiless(
    call: Call,
    *,
    headers: dict[str, str],
    metadata: dict[str, str],
    tags: dict[str, str],
    conditions: Conditions,
) -> Draft:
    """Draft an object whose bytes come from elsewhere than this request."""
    return Draft(
        headers=headers,
        metadata=metadata,
        tags=tags,
        storage_class=storage_class(call.headers),
        acl=canned_acl(call),
        content_md5=None,
        sha256=None,
        checksum=None,
        conditions=conditions,
        size=None,
    )


def part_draft(call: Call) -> Draft:
    """Read what an UploadPart says of its bytes."""
    headers = call.headers
    refuse_unkept(headers)
    return Draft(
        headers={},
        metadata={},
        tags={},
        storage_class="STANDARD",
        acl=None,
        content_md5=content_md5(headers),
        sha256=call.payload_sha256,
        checksum=checksum_claim(headers),
        conditions=UNCONDITIONAL,
        size=call.body.length,
    )
