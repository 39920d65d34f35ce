"""The documents of DeleteObjects."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from core.errors import MalformedXML
from s3 import xml
from s3.xml import Node, element

MAX_ENTRIES = 1000
# What any size has at most, and what the database still takes for a number.
MAX_DIGITS = 18


@dataclass(frozen=True, kw_only=True, slots=True)
class DeleteEntry:
    """One key (or version) to delete, with the conditions it names."""

    key: str
    version_id: str | None = None
    etag: str | None = None
    size: int | None = None
    last_modified: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class DeleteRequest:
    """A whole DeleteObjects body."""

    quiet: bool
    entries: tuple[DeleteEntry, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class DeletedRow:
    """What became of one entry."""

    key: str
    version_id: str | None
    marker_version_id: str | None = None
    is_marker: bool = False
    code: str | None = None
    message: str = ""


def parse_delete(body: bytes) -> DeleteRequest:
    """Read a DeleteObjects body of 1 to 1000 entries."""
    node = xml.parse(body, "Delete")
    node.only("Object", "Quiet")
    objects = node.all("Object")
    if not 1 <= len(objects) <= MAX_ENTRIES:
        raise MalformedXML()
    quiet = (node.value("Quiet") or "false").strip().lower()
    if quiet not in ("true", "false"):
        raise MalformedXML()
    return DeleteRequest(quiet=quiet == "true", entries=tuple(map(_entry, objects)))


def _entry(node: Node) -> DeleteEntry:
    node.only("Key", "VersionId", "ETag", "Size", "LastModifiedTime")
    key = node.required("Key")
    if not key:
        raise MalformedXML()
    size = node.value("Size")
    moment = node.value("LastModifiedTime")
    return DeleteEntry(
        key=key,
        version_id=node.value("VersionId") or None,
        etag=node.value("ETag"),
        size=None if size is None else _size(size),
        last_modified=None if moment is None else parse_moment(moment),
    )


def _size(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise MalformedXML()
    return int(text)


def parse_moment(text: str) -> datetime:
    """Read a time in either form clients send: RFC 1123 or ISO 8601."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(text.strip())
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            continue
    raise MalformedXML()


def delete_result(rows: Iterable[DeletedRow], *, quiet: bool) -> bytes:
    """Print DeleteResult; a quiet request hears of failures only."""
    return xml.document(
        "DeleteResult", (_row(row) for row in rows if row.code is not None or not quiet)
    )


def _row(row: DeletedRow) -> str:
    named = element("Key", row.key) + element("VersionId", row.version_id)
    if row.code is not None:
        return f"<Error>{named}{element('Code', row.code)}{element('Message', row.message)}</Error>"
    if not row.is_marker:
        return f"<Deleted>{named}</Deleted>"
    return (
        f"<Deleted>{named}<DeleteMarker>true</DeleteMarker>"
        f"{element('DeleteMarkerVersionId', row.marker_version_id)}</Deleted>"
    )
