"""Multipart uploads of a namespace, in few words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from core.streams import Whole
from objects import multipart
from objects.draft import UNCONDITIONAL, Conditions, Draft, Written
from objects.found import NONE
from tests.support.namespace import Namespace


@dataclass(frozen=True)
class Listed:
    """A part as Complete lists it."""

    number: int
    etag: str
    checksums: dict[str, str] = field(default_factory=dict)


class Upload:
    """One upload of a namespace, in few words."""

    def __init__(self, space: Namespace, key: str, upload_id: str) -> None:
        self.space = space
        self.key = key
        self.id = upload_id

    async def send(self, number: int, content: bytes, **draft: Any) -> Listed:
        found = await self.space.look(want=NONE)
        written = await multipart.upload_part(
            self.space.store, found, self.key, self.id, number, Whole(content), Draft(**draft)
        )
        return Listed(number, written.etag)

    async def complete(
        self, *parts: Listed, conditions: Conditions = UNCONDITIONAL, **claims: Any
    ) -> Written:
        found = await self.space.look(want=NONE)
        return await multipart.complete(
            self.space.store, found, self.key, self.id, parts, conditions=conditions, **claims
        )

    async def abort(self) -> None:
        found = await self.space.look(want=NONE)
        await multipart.abort(self.space.store, found, self.key, self.id)


async def begin(
    space: Namespace,
    key: str = "big",
    algorithm: str | None = None,
    kind: str | None = None,
    **draft: Any,
) -> Upload:
    found = await space.look(want=NONE)
    upload_id = await multipart.create(
        space.store,
        found,
        key,
        Draft(**draft),
        checksum_algorithm=algorithm,
        checksum_type=kind,
    )
    return Upload(space, key, upload_id)


async def leftovers(space: Namespace) -> tuple[int, int]:
    """Parts, and extents of parts, of this bucket's uploads."""
    rows = await space.sql(
        "SELECT count(DISTINCT p.id), count(e.id) FROM part p JOIN upload u ON u.id = p.upload_id"
        " JOIN bucket b ON b.id = u.bucket_id LEFT JOIN extent e ON e.part_id = p.id"
        " WHERE b.name = %s",
        space.bucket,
    )
    return rows[0][0], rows[0][1]
