"""The headers that describe a version: what GET and HEAD say of it.

This runs for every read, so plain appends and cached dates; nothing is formatted twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.ranges import ByteRange
from s3.conditions import http_date
from s3.wire import Header, header

if TYPE_CHECKING:
    from buckets.views import BucketView
    from objects.found import VersionView

_RANGES: Header = (b"accept-ranges", b"bytes")
_DEFAULT_TYPE: Header = (b"content-type", b"binary/octet-stream")
# Stored header name -> the bytes it goes out under.
SYSTEM_HEADERS = {
    name: name.encode()
    for name in (
        "content-type",
        "content-encoding",
        "content-disposition",
        "content-language",
        "cache-control",
        "expires",
        "x-amz-website-redirect-location",
    )
}
_REPEATED_BY_304 = ("cache-control", "expires")


def version_header(bucket: BucketView, wire_id: str | None) -> list[Header]:
    """Return x-amz-version-id, which only buckets that ever had versioning show."""
    if not bucket.versioning or wire_id is None:
        return []
    return [(b"x-amz-version-id", wire_id.encode())]


def new_version_header(wire_id: str | None) -> list[Header]:
    """Return x-amz-version-id of what was written; the null version is not named."""
    if wire_id is None or wire_id == "null":
        return []
    return [(b"x-amz-version-id", wire_id.encode())]


def described(version: VersionView, bucket: BucketView) -> list[Header]:
    """Return every header of a version that no request parameter changes."""
    headers: list[Header] = [
        _RANGES,
        (b"last-modified", http_date(version.last_modified).encode()),
        (b"etag", f'"{version.etag}"'.encode()),
    ]
    stored = version.headers
    if "content-type" not in stored:
        headers.append(_DEFAULT_TYPE)
    for name, value in stored.items():
        headers.append(header(SYSTEM_HEADERS[name], value))
    for name, value in version.metadata.items():
        headers.append(header(b"x-amz-meta-" + name.encode("latin-1"), value))
    if bucket.versioning:
        headers.append((b"x-amz-version-id", version.wire_id.encode()))
    if version.tags:
        headers.append((b"x-amz-tagging-count", str(len(version.tags)).encode()))
    if version.storage_class != "STANDARD":
        headers.append((b"x-amz-storage-class", version.storage_class.encode()))
    return headers


def checksum_headers(version: VersionView, part: ByteRange | None) -> list[Header]:
    """Return the checksum of what is sent, and its type: of exactly one part, or the whole.

    Any other range has no checksum that is known.
    """
    checksum = version.checksums
    if not checksum:
        return []
    value: str | None = checksum["value"]
    if part is not None:
        whole = value if len(part) == version.size else None
        value = _part_checksum(version, part) or whole
    if value is None:
        return []
    return [
        (f"x-amz-checksum-{checksum['algorithm'].lower()}".encode(), value.encode()),
        (b"x-amz-checksum-type", checksum["type"].encode()),
    ]


def _part_checksum(version: VersionView, part: ByteRange) -> str | None:
    start = 0
    for _, size, value in version.parts or ():
        if start == part.start and start + size == part.stop:
            return value
        start += size
    return None


def repeated_by_304(version: VersionView, bucket: BucketView) -> tuple[tuple[str, str], ...]:
    """Return what a 304 says again of the version."""
    repeated = [
        ("ETag", f'"{version.etag}"'),
        ("Last-Modified", http_date(version.last_modified)),
    ]
    repeated += [
        (name, version.headers[name]) for name in _REPEATED_BY_304 if name in version.headers
    ]
    if bucket.versioning:
        repeated.append(("x-amz-version-id", version.wire_id))
    return tuple(repeated)
