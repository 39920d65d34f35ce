"""GetObjectAttributes: the asked facts of a version, and its parts page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import InvalidArgument, InvalidRequest
from objects.store import Store
from s3.conditions import http_date
from s3.described import version_header
from s3.existing import existing
from s3.paging import number
from s3.shapes.attributes import (
    ASKABLE,
    AttributePart,
    PartsPage,
    attributes_result,
    checksum_shown,
)
from s3.subject import bucket_of
from s3.wire import Call, Header, Reply, xml_reply
from s3.xml import element

if TYPE_CHECKING:
    from objects.found import VersionView

MAX_PARTS = 1000


async def get_object_attributes(call: Call, store: Store) -> Reply:
    """GET ?attributes."""
    asked = _asked(call)
    version = existing(call)
    headers: list[Header] = [
        (b"last-modified", http_date(version.last_modified).encode()),
        *version_header(bucket_of(call), version.wire_id),
    ]
    shown = (_SHOWN[name](call, version) for name in ASKABLE if name in asked)
    return xml_reply(attributes_result(shown), headers=headers)


def _asked(call: Call) -> frozenset[str]:
    text = call.headers.get("x-amz-object-attributes", "")
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise InvalidRequest(
            "The x-amz-object-attributes header specifying the attributes is missing"
        )
    if not names.issubset(ASKABLE):
        raise InvalidArgument(
            "Invalid attribute name specified.",
            argument_name="x-amz-object-attributes",
            argument_value=text,
        )
    return names


def _etag(call: Call, version: VersionView) -> str:
    return element("ETag", version.etag)


def _checksum(call: Call, version: VersionView) -> str:
    checksum = version.checksums
    if not checksum:
        return ""
    return checksum_shown({checksum["algorithm"]: checksum["value"]}, checksum["type"])


def _object_parts(call: Call, version: VersionView) -> str:
    if not version.parts:
        return ""
    marker = _number(call, "x-amz-part-number-marker", 0)
    most = min(_number(call, "x-amz-max-parts", MAX_PARTS), MAX_PARTS)
    algorithm = version.checksums["algorithm"] if version.checksums else ""
    following = [part for part in version.parts if part[0] > marker]
    parts = tuple(
        AttributePart(number=part_number, size=size, checksums={algorithm: value} if value else {})
        for part_number, size, value in following[:most]
    )
    return PartsPage(
        total=len(version.parts),
        marker=marker,
        max_parts=most,
        parts=parts,
        truncated=most > 0 and len(following) > most,
    ).shown()


def _number(call: Call, name: str, default: int) -> int:
    text = call.headers.get(name)
    return default if text is None else number(name, text, least=0, most=2**31 - 1)


def _storage_class(call: Call, version: VersionView) -> str:
    return element("StorageClass", version.storage_class)


def _object_size(call: Call, version: VersionView) -> str:
    return element("ObjectSize", version.size)


_SHOWN = {
    "ETag": _etag,
    "Checksum": _checksum,
    "ObjectParts": _object_parts,
    "StorageClass": _storage_class,
    "ObjectSize": _object_size,
}
