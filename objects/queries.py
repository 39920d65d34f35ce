"""Reads off the hot path: uploads and their parts. Each name says its question."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from core.database import MISC, Lanes
from objects.extents import ExtentRow

_UPLOAD = """
SELECT id, bucket_id, key, initiated, headers, metadata, tags, acl, storage_class, storage_policy,
       checksum_algorithm, checksum_type, state, completed, version_id
FROM upload WHERE id = %s AND bucket_id = %s AND key = %s
"""
_PARTS_AFTER = """
SELECT id, number, size, etag, checksums, last_modified FROM part
WHERE upload_id = %s AND number > %s ORDER BY number LIMIT %s
"""
_PARTS_NUMBERED = """
SELECT id, number, size, etag, checksums, last_modified FROM part
WHERE upload_id = %s AND number = ANY(%s) ORDER BY number
"""
_COMPLETED = """
SELECT id, etag, checksums, last_modified, is_null FROM version WHERE id = %s
"""
_SOURCE = """
SELECT e.segment_id, e."offset", e.record_size, e.skip, e.length, s.epoch
FROM extent e JOIN segment s ON s.id = e.segment_id
WHERE e.version_id = %s ORDER BY e.position
"""


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload as its row has it."""

    id: UUID
    bucket_id: UUID
    key: str
    initiated: datetime
    headers: dict[str, str]
    metadata: dict[str, str]
    tags: dict[str, str]
    acl: str | None
    storage_class: str
    storage_policy: str
    checksum_algorithm: str | None
    checksum_type: str | None
    state: str
    completed: Any
    version_id: UUID | None

    @property
    def upload_id(self) -> str:
        return self.id.hex


@dataclass(frozen=True, slots=True)
class Part:
    """A part as its row has it. `checksums`: algorithm to value."""

    id: UUID
    number: int
    size: int
    etag: str
    checksums: dict[str, str]
    last_modified: datetime


async def upload(lanes: Lanes, upload_id: UUID, bucket_id: UUID, key: str) -> Upload | None:
    row = await lanes.fetch_one(MISC, _UPLOAD, (upload_id, bucket_id, key))
    return Upload(*row) if row else None


async def parts_after(lanes: Lanes, upload_id: UUID, number: int, limit: int) -> list[Part]:
    rows = await lanes.fetch(MISC, _PARTS_AFTER, (upload_id, number, limit))
    return [Part(*row) for row in rows]


async def parts_numbered(lanes: Lanes, upload_id: UUID, numbers: list[int]) -> dict[int, Part]:
    rows = await lanes.fetch(MISC, _PARTS_NUMBERED, (upload_id, numbers))
    return {row[1]: Part(*row) for row in rows}


async def completed_version(lanes: Lanes, version_id: UUID) -> tuple[Any, ...] | None:
    """id, etag, checksums, last_modified, is_null of a version that may be gone."""
    return await lanes.fetch_one(MISC, _COMPLETED, (version_id,))


async def extents_of(lanes: Lanes, version_id: UUID) -> tuple[list[ExtentRow], dict[UUID, int]]:
    """The extents of a version in order, and the layout epoch of each segment they name."""
    rows = await lanes.fetch(MISC, _SOURCE, (version_id,))
    extents = [(row[0], row[1], row[2], row[3], row[4]) for row in rows]
    return extents, {row[0]: row[5] for row in rows}
