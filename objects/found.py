"""What one look-up finds: who asks, which bucket, which version, and where its bytes are.

Plain slots classes: one of each is made per request. Callers and buckets come from caches and are
never changed; places are hints with an epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import orjson

from buckets.views import BucketView as BucketView
from objects import wire
from storage_nodes.located import Located
from tenants.principal import Caller

NONE: Final = 0
HEAD: Final = 1
DATA: Final = 2

_EMPTY: dict[str, str] = {}


class Question:
    """What a request needs to know. `version_id` as the client wrote it."""

    __slots__ = ("access_key", "bucket", "key", "version", "want")

    def __init__(
        self,
        access_key: str | None = None,
        bucket: str | None = None,
        key: str | None = None,
        version_id: str | None = None,
        want: int = NONE,
    ) -> None:
        # A name the database cannot hold is of nothing that exists; it must not fail others'
        # questions.
        self.access_key = access_key if access_key is None or "\0" not in access_key else ""
        self.bucket = bucket if bucket is None or "\0" not in bucket else ""
        self.key = key if key is None or "\0" not in key else None
        self.want = want if self.key is not None else NONE
        self.version: UUID | None = None
        if version_id is not None and self.want:
            self.version = wire.version_id(version_id)

    def as_json(self) -> dict[str, Any]:
        """The form the look-up's statement reads; what is absent is NULL."""
        asked: dict[str, Any] = {"w": self.want}
        if self.access_key is not None:
            asked["a"] = self.access_key
        if self.bucket is not None:
            asked["b"] = self.bucket
        if self.want:
            asked["k"] = self.key
            if self.version is not None:
                asked["v"] = self.version
        return asked


class Place:
    """An extent and its segment as one look-up saw them."""

    __slots__ = ("located", "lost")

    def __init__(self, fields: list[Any]) -> None:
        (
            segment, offset, record_size, skip, length, policy,
            layout, state, epoch, drives, size, cell_size, confirmed, lost,
        ) = fields  # fmt: skip
        self.located = Located(
            _segment(segment), layout, state, epoch, drives, size, cell_size, policy,
            offset, record_size, skip, length, confirmed,
        )  # fmt: skip
        self.lost: list[int] | None = lost


@lru_cache(maxsize=10_000)
def _segment(text: str) -> UUID:
    """A segment's id. The small objects of one time lie in few segments."""
    return UUID(hex=text)


def places_of(text: str | None) -> list[Place]:
    """The places of a look-up's answer."""
    return [Place(fields) for fields in orjson.loads(text)] if text else []


class VersionView:
    """One version of a key. Everything but tags, lock and places is fixed for good."""

    __slots__ = (
        "_extra",
        "_places",
        "_places_text",
        "checksums",
        "etag",
        "headers",
        "id",
        "is_latest",
        "is_marker",
        "is_null",
        "last_modified",
        "metadata",
        "parts",
        "size",
        "storage_class",
        "storage_policy",
        "tags",
    )

    def __init__(self, row: tuple[Any, ...]) -> None:
        self.id: UUID
        self.is_latest: bool
        self.is_marker: bool
        self.is_null: bool
        self.size: int
        self.etag: str
        self.last_modified: datetime
        self.storage_class: str
        self.storage_policy: str
        (
            self.id, self.is_latest, self.is_marker, self.is_null, self.size, self.etag,
            self.last_modified, headers, metadata, tags, checksums, parts,
            self.storage_class, self.storage_policy, self._extra, self._places_text,
        ) = row  # fmt: skip
        self._places: list[Place] | None = None
        self.headers: dict[str, str] = _EMPTY if headers == "{}" else orjson.loads(headers)
        self.metadata: dict[str, str] = _EMPTY if metadata == "{}" else orjson.loads(metadata)
        self.tags: dict[str, str] = _EMPTY if tags == "{}" else orjson.loads(tags)
        self.checksums: dict[str, str] | None = checksums and orjson.loads(checksums)
        # [[number, size, checksum or None], ...]
        self.parts: list[tuple[int, int, str | None]] | None = parts and orjson.loads(parts)

    @property
    def wire_id(self) -> str:
        return wire.NULL if self.is_null else self.id.hex

    @property
    def extra(self) -> dict[str, Any]:
        """acl, owner_id, lock_mode, lock_until, lock_hold, replication, encryption: mostly none of
        it."""
        return orjson.loads(self._extra) if self._extra else {}

    @property
    def acl(self) -> str | None:
        """The canned ACL it was written with."""
        return self.extra.get("acl") if self._extra else None

    @property
    def places(self) -> list[Place]:
        if self._places is None:
            self._places = places_of(self._places_text)
        return self._places

    @property
    def locations(self) -> list[Located]:
        return [place.located for place in self.places]


class Found:
    """The answer to one question, and what a commit needs to check that it still holds."""

    __slots__ = ("bucket", "caller", "check", "decision", "question", "version")

    def __init__(
        self,
        question: Question,
        caller: Caller | None,
        bucket: BucketView | None,
        version: VersionView | None,
        decision: dict[str, Any],
    ) -> None:
        self.question = question
        self.caller = caller
        self.bucket = bucket
        self.version = version
        # The revisions decided with, as the commit function re-checks them; shared between
        # requests.
        self.decision = decision
        # Decides again with fresh findings, raising what the request is refused with. Set by who
        # decided.
        self.check: Callable[[Found], None] | None = None
