"""Listing open uploads and their parts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.database import MISC
from core.errors import NoSuchUpload
from objects import queries, wire
from objects.found import BucketView, Found
from objects.listing import bounds, holdable, within_key
from objects.queries import Part, Upload
from objects.store import Store

_UPLOADS = "SELECT * FROM list_uploads(%s, %s, %s, %s, %s, %s, %s)"


@dataclass(frozen=True, slots=True)
class Parts:
    """A page of an upload's parts."""

    upload: Upload
    parts: list[Part]
    truncated: bool


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """A line of ListMultipartUploads."""

    key: str
    upload_id: str
    initiated: datetime
    storage_class: str
    checksum_algorithm: str | None
    checksum_type: str | None


@dataclass(frozen=True, slots=True)
class Uploads:
    """A page of open uploads. `next`: key and upload id (None after a common prefix) to go on
    from."""

    uploads: list[OpenUpload]
    prefixes: list[str]
    truncated: bool
    next: tuple[str, str | None] | None


async def list_parts(
    store: Store, found: Found, key: str, upload_id: str, *, after: int, limit: int
) -> Parts:
    """Parts with numbers above `after`, ascending."""
    assert found.bucket is not None
    upload = await queries.upload(store.lanes, wire.upload_id(upload_id), found.bucket.id, key)
    if upload is None or upload.state != "open":
        raise NoSuchUpload(upload_id=upload_id)
    parts = await queries.parts_after(store.lanes, upload.id, min(after, 10_000), limit + 1)
    return Parts(upload, parts[:limit], truncated=limit > 0 and len(parts) > limit)


async def list_uploads(
    store: Store,
    bucket: BucketView,
    *,
    prefix: str,
    delimiter: str | None,
    key_marker: str,
    upload_id_marker: str | None,
    limit: int,
) -> Uploads:
    """Open uploads by key, then by time; those of `key_marker` only after `upload_id_marker`."""
    walk = bounds(prefix, key_marker, delimiter)
    if limit <= 0 or walk is None:
        return Uploads([], [], False, None)
    within = wire.upload_id(upload_id_marker) if upload_id_marker else None
    start, within = within_key(walk, key_marker, within)
    rows = await store.lanes.fetch(
        MISC,
        _UPLOADS,
        (bucket.id, prefix, holdable(delimiter), start, within, walk.upper, limit + 1),
    )
    truncated = len(rows) > limit
    rows = rows[:limit]
    going_on = None
    if truncated:
        last = rows[-1]
        going_on = (last[0], None if last[1] is None else last[1].hex)
    return Uploads(
        [OpenUpload(row[0], row[1].hex, *row[2:]) for row in rows if row[1] is not None],
        [row[0] for row in rows if row[1] is None],
        truncated,
        going_on,
    )
