"""CopyObject and UploadPartCopy: find and authorise the source, then one verb."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from core import checksums
from core.errors import (
    AccessDenied,
    InvalidArgument,
    InvalidRange,
    InvalidRequest,
    InvalidURI,
    NoSuchBucket,
    NoSuchKey,
    NoSuchVersion,
)
from core.names import check_key, is_bucket_name
from core.ranges import ByteRange
from objects import copy
from objects.draft import Draft
from objects.found import DATA, Question
from objects.store import Store
from s3 import drafts
from s3.conditions import SOURCE_HEADERS, judge_source
from s3.described import new_version_header
from s3.handlers.parts import part_number
from s3.permission import ask_again, may_in, require_in
from s3.shapes.copying import copy_object_result, copy_part_result
from s3.subject import key_of
from s3.wire import Call, Header, Reply, xml_reply

if TYPE_CHECKING:
    from objects.found import Found, VersionView

_RANGE = re.compile(r"bytes=([0-9]{1,19})-([0-9]{1,19})")
_SOURCE_ENCRYPTION = "x-amz-copy-source-server-side-encryption"
_REDIRECT = "x-amz-website-redirect-location"
_DIRECTIVES = ("COPY", "REPLACE")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """What x-amz-copy-source names."""

    bucket: str
    key: str
    version_id: str | None


def parse_source(text: str) -> Source:
    """Read `[/]bucket/key[?versionId=id]`: cut at the literal `?`, then decode each part once.

    A bare `+` is a space here, as Amazon reads it and s5cmd writes it; a plus comes as `%2B`.
    """
    path, mark, query = text.partition("?")
    version_id: str | None = None
    if mark:
        name, _, version_id = query.partition("=")
        if name != "versionId" or not version_id:
            raise _malformed(text)
    try:
        decoded = unquote_to_bytes(path.replace("+", " ").encode("latin-1")).decode()
        bucket, _, key = decoded.removeprefix("/").partition("/")
        check_key(key)
    except (UnicodeDecodeError, InvalidURI) as error:
        raise _malformed(text) from error
    if not is_bucket_name(bucket):
        raise _malformed(text)
    return Source(bucket=bucket, key=key, version_id=version_id)


def _malformed(text: str) -> InvalidArgument:
    return InvalidArgument(
        "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
        argument_name="x-amz-copy-source",
        argument_value=text,
    )


async def copy_object(call: Call, store: Store) -> Reply:
    """PUT with x-amz-copy-source: a new version with the source's bytes."""
    if "range" in call.headers:
        raise InvalidArgument(argument_name="Range", argument_value=call.headers["range"])
    source = parse_source(call.headers["x-amz-copy-source"])
    asked = _asked(call)
    found, version = await _look(call, store, source)
    written = await copy.copy(
        store,
        found,
        call.found,
        key_of(call),
        _draft(call, source, version, asked),
        checksum_algorithm=asked.algorithm,
    )
    stored = written.checksums
    document = copy_object_result(
        written.etag,
        written.last_modified,
        {stored["algorithm"]: stored["value"]} if stored else {},
        stored["type"] if stored else None,
    )
    return xml_reply(
        document,
        headers=new_version_header(written.version_id) + _source_version(found),
    )


async def upload_part_copy(call: Call, store: Store) -> Reply:
    """PUT ?partNumber&uploadId with x-amz-copy-source: one part from the source's bytes."""
    number = part_number(call)
    drafts.refuse_unkept(call.headers)
    found, version = await _look(call, store, parse_source(call.headers["x-amz-copy-source"]))
    part = _range(call.headers.get("x-amz-copy-source-range"), version.size)
    written = await copy.part_copy(
        store, found, call.found, key_of(call), call.query["uploadId"], number, part
    )
    stored = written.checksums
    document = copy_part_result(
        written.etag,
        written.last_modified,
        {stored["algorithm"]: stored["value"]} if stored else {},
    )
    return xml_reply(document, headers=_source_version(found))


async def _look(call: Call, store: Store, source: Source) -> tuple[Found, VersionView]:
    """Look the source up, and refuse as S3 does when it is not to be copied."""
    if any(name.startswith(_SOURCE_ENCRYPTION) for name in call.headers):
        raise InvalidRequest("The source object was stored without server-side encryption.")
    found = await store.look(
        Question(call.caller.key_id, source.bucket, source.key, source.version_id, DATA)
    )
    bucket = found.bucket
    if bucket is None:
        raise NoSuchBucket(bucket_name=source.bucket)
    expected = call.headers.get("x-amz-source-expected-bucket-owner")
    if expected is not None and expected != bucket.account_id:
        raise AccessDenied()
    action = "s3:GetObject" if source.version_id is None else "s3:GetObjectVersion"
    require_in(call.caller, bucket, action, source.key)
    ask_again(call, lambda fresh: require_in(fresh.caller, bucket, action, source.key))
    version = found.version
    if version is None or version.is_marker:
        if version is not None and source.version_id is not None:
            raise InvalidRequest(
                "The source of a copy request may not specifically refer to a delete marker by"
                " version id."
            )
        if not may_in(call.caller, bucket, "s3:ListBucket", None):
            raise AccessDenied()
        if source.version_id is not None:
            raise NoSuchVersion(key=source.key, version_id=source.version_id)
        raise NoSuchKey(key=source.key)
    if not SOURCE_HEADERS.isdisjoint(call.headers.keys()):
        judge_source(call.headers, etag=version.etag, last_modified=version.last_modified)
    return found, version


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """What a CopyObject says itself; `draft` holds only that."""

    draft: Draft
    replaces: bool
    retags: bool
    algorithm: str | None


def _asked(call: Call) -> _Asked:
    """Read the request before anything is looked for: what makes no sense is told first."""
    headers = call.headers
    retags = _directive(call, "x-amz-tagging-directive")
    algorithm = headers.get("x-amz-checksum-algorithm")
    system, metadata = drafts.stored_headers(headers)
    return _Asked(
        draft=drafts.bodiless(
            call,
            headers=system,
            metadata=metadata,
            tags=drafts.tags(headers) if retags else {},
            conditions=drafts.conditions(headers),
        ),
        replaces=_directive(call, "x-amz-metadata-directive"),
        retags=retags,
        algorithm=None if algorithm is None else checksums.check_algorithm(algorithm),
    )


def _draft(call: Call, source: Source, version: VersionView, asked: _Asked) -> Draft:
    """Draft the copy: what was asked, and of the source what was not."""
    draft = asked.draft
    redirect = draft.headers.get(_REDIRECT)
    is_same = (source.bucket, source.key, source.version_id) == (call.bucket, call.key, None)
    changes = (
        asked.replaces
        or asked.retags
        or asked.algorithm is not None
        or redirect is not None
        or draft.storage_class != version.storage_class
    )
    if is_same and not changes:
        raise InvalidRequest(
            "This copy request is illegal because it is trying to copy an object to itself without"
            " changing the object's metadata, storage class, website redirect location or"
            " encryption attributes."
        )
    if not asked.replaces:
        kept = {name: value for name, value in version.headers.items() if name != _REDIRECT}
        if redirect is not None:
            kept[_REDIRECT] = redirect
        draft = replace(draft, headers=kept, metadata=dict(version.metadata))
    return draft if asked.retags else replace(draft, tags=dict(version.tags))


def _directive(call: Call, name: str) -> bool:
    """Say whether a directive asks to replace, rather than to copy."""
    value = call.headers.get(name, "COPY")
    if value not in _DIRECTIVES:
        raise InvalidArgument("Unknown directive.", argument_name=name, argument_value=value)
    return value == "REPLACE"


def _range(text: str | None, size: int) -> ByteRange:
    if text is None:
        return ByteRange(0, size)
    found = _RANGE.fullmatch(text)
    if found is None or int(found[1]) > int(found[2]):
        raise InvalidArgument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and"
            " last are the zero-based offsets of the first and last bytes to copy",
            argument_name="x-amz-copy-source-range",
            argument_value=text,
        )
    first, last = int(found[1]), int(found[2])
    if last >= size:
        raise InvalidRange(actual_object_size=size, range_requested=text)
    return ByteRange(first, last + 1)


def _source_version(found: Found) -> list[Header]:
    bucket, version = found.bucket, found.version
    if bucket is None or version is None or not bucket.versioning:
        return []
    return [(b"x-amz-copy-source-version-id", version.wire_id.encode())]
