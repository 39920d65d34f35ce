"""GetObject and HeadObject: conditions, ranges, parts, overrides; the bytes come from the verb.

Everything a request may add to a plain read is behind one look at its header and query names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core import clock
from core.errors import InvalidArgument, InvalidPartNumber, InvalidRequest
from core.ranges import ByteRange, content_range, parse_range
from objects import durability, read
from objects.store import Store
from s3.conditions import READ_HEADERS, judge_read, still_applies
from s3.described import checksum_headers, described, repeated_by_304
from s3.existing import existing
from s3.subject import bucket_of
from s3.wire import Call, Header, Reply, header

if TYPE_CHECKING:
    from objects.found import VersionView

_ENCRYPTION = frozenset(
    (
        "x-amz-server-side-encryption",
        "x-amz-server-side-encryption-aws-kms-key-id",
        "x-amz-server-side-encryption-customer-algorithm",
        "x-amz-server-side-encryption-customer-key",
        "x-amz-server-side-encryption-customer-key-md5",
    )
)
# Headers that make a read anything but plain.
_SPECIAL = READ_HEADERS | _ENCRYPTION | {"range", "x-amz-checksum-mode"}
_OVERRIDES = {
    f"response-{name}": name.encode()
    for name in (
        "content-type",
        "content-language",
        "expires",
        "cache-control",
        "content-disposition",
        "content-encoding",
    )
}
MAX_PART = 10_000


async def get_object(call: Call, store: Store) -> Reply:
    """GET: the version's bytes, or the part of them that was asked for."""
    version = _asked_for(call)
    status, headers, part = _answer(call, version)
    if part is not None and not len(part):
        return Reply(status, headers, b"")
    reading = await read.open(store, call.found, part)
    length = version.size if part is None else len(part)
    whole = reading.whole
    return Reply(status, headers, reading if whole is None else whole, length)


async def head_object(call: Call, store: Store) -> Reply:
    """HEAD: what GET would say, without the bytes."""
    version = _asked_for(call)
    status, headers, part = _answer(call, version)
    return Reply(status, headers, None, version.size if part is None else len(part))


def _asked_for(call: Call) -> VersionView:
    """Return the version, once what is asked of it makes sense."""
    if call.query:
        _part_number(call)
    return existing(call)


def _answer(call: Call, version: VersionView) -> tuple[int, list[Header], ByteRange | None]:
    """Return status, headers and the range to send; None is the whole version."""
    headers = described(version, bucket_of(call))
    headers.append((b"x-objstore-durability", durability.of(call.found).encode()))
    if not call.query and call.headers.keys().isdisjoint(_SPECIAL):
        return 200, headers, None
    return _special(call, version, headers)


def _special(
    call: Call, version: VersionView, headers: list[Header]
) -> tuple[int, list[Header], ByteRange | None]:
    if not _ENCRYPTION.isdisjoint(call.headers.keys()):
        raise InvalidRequest("The object was stored without server-side encryption.")
    number = _part_number(call)
    if not READ_HEADERS.isdisjoint(call.headers.keys()):
        judge_read(
            call.headers,
            etag=version.etag,
            last_modified=version.last_modified,
            now=clock.now(),
            repeated=repeated_by_304(version, bucket_of(call)),
        )
    headers = _overridden(call, headers)
    part = _range(call, version) if number is None else _numbered(version, number)
    if number is not None and version.parts:
        headers.append((b"x-amz-mp-parts-count", str(len(version.parts)).encode()))
    if call.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
        headers += checksum_headers(version, part)
    if part is None:
        return 200, headers, None
    if not len(part):
        # An empty part has no first and last byte to name in Content-Range.
        return 200, headers, part
    headers.append((b"content-range", content_range(part, version.size).encode()))
    return 206, headers, part


def _part_number(call: Call) -> int | None:
    text = call.query.get("partNumber")
    if text is None:
        return None
    if "range" in call.headers:
        raise InvalidRequest("Cannot specify both Range header and partNumber query parameter")
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MAX_PART):
        raise InvalidArgument(
            "Part number must be an integer between 1 and 10000, inclusive",
            argument_name="partNumber",
            argument_value=text,
        )
    return int(text)


def _numbered(version: VersionView, number: int) -> ByteRange | None:
    sizes = [size for _, size, *_ in version.parts] if version.parts else [version.size]
    if number > len(sizes):
        raise InvalidPartNumber(actual_part_count=len(sizes), part_number_requested=number)
    start = sum(sizes[: number - 1])
    return ByteRange(start, start + sizes[number - 1])


def _range(call: Call, version: VersionView) -> ByteRange | None:
    text = call.headers.get("range")
    if text is None:
        return None
    condition = call.headers.get("if-range")
    if condition is not None and not still_applies(
        condition, etag=version.etag, last_modified=version.last_modified
    ):
        return None
    return parse_range(text, version.size)


def _overridden(call: Call, headers: list[Header]) -> list[Header]:
    asked = {_OVERRIDES[name]: value for name, value in call.query.items() if name in _OVERRIDES}
    if not asked:
        return headers
    if not call.is_signed:
        raise InvalidRequest(
            "Request specific response headers cannot be used for anonymous GET requests."
        )
    kept = [pair for pair in headers if pair[0] not in asked]
    return kept + [header(name, value) for name, value in asked.items()]
