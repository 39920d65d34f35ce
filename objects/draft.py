"""What a write says beside its bytes, and what it is told afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


class ChecksumClaim(Protocol):
    """One of the five checksums: its value, or None when it comes in the trailer."""

    @property
    def algorithm(self) -> str: ...

    @property
    def value(self) -> str | None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """What must hold of the current version when a write or a delete commits; header texts as
    sent."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_match_size: int | None = None
    if_match_last_modified: datetime | None = None

    def as_json(self) -> dict[str, Any] | None:
        """The form the commit function judges; None when there is no condition."""
        wanted: dict[str, Any] = {}
        if self.if_match is not None:
            wanted["match"] = tags_of(self.if_match)
        if self.if_none_match is not None:
            wanted["none_match"] = tags_of(self.if_none_match)
        if self.if_match_size is not None:
            wanted["size"] = self.if_match_size
        if self.if_match_last_modified is not None:
            wanted["modified"] = self.if_match_last_modified
        return wanted or None


UNCONDITIONAL = Conditions()


def tags_of(header: str) -> list[str]:
    """The entity tags of a header, without quotes and weakness marks."""
    return [tag.strip().removeprefix("W/").strip('"') for tag in header.split(",")]


# One of each per write, so not frozen: that would cost each write some microseconds.
@dataclass(kw_only=True, slots=True)
class Draft:
    """Everything of an object or a part but its bytes."""

    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    storage_class: str = "STANDARD"
    acl: str | None = None
    content_md5: bytes | None = None  # raw digest
    sha256: str | None = None  # hex digest the client signed
    checksum: ChecksumClaim | None = None
    algorithm: str | None = None  # what to compute when nothing is claimed
    conditions: Conditions = UNCONDITIONAL
    size: int | None = None


@dataclass(kw_only=True, slots=True)
class Written:
    """A committed version or part. `checksums`: algorithm, type, value."""

    version_id: str | None
    etag: str
    checksums: dict[str, str] | None
    last_modified: datetime
