"""Listing a bucket: current objects, or all versions, page by page in byte order.

Here: bounds of a page, rows as light tuples. Not here: the walk along the index (sql/listing.sql),
XML.

Promise: a listing begun after a commit shows it; keys present throughout appear exactly once over
the pages; a common prefix counts one and is never returned twice. A page costs what it returns.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from core.database import MISC
from objects import wire
from objects.found import BucketView
from objects.store import Store

# key, last modified, etag, size, storage class, checksum (algorithm and type) or None. Times are
# text, in UTC: `2026-01-31 12:00:00`, with a fraction of a second when there is one.
ObjectRow = tuple[str, str, str, int, str, dict[str, str] | None]
# key, version id, is latest, is marker, then as above
VersionRow = tuple[str, str, bool, bool, str, str, int, str, dict[str, str] | None]

_CURRENT = "SELECT * FROM list_current(%s, %s, %s, %s, %s, %s)"
_VERSIONS = """
SELECT name, version, latest, marker, nameless, modified, tag, bytes, class, checksum
FROM list_versions(%s, %s, %s, %s, %s, %s, %s)
"""
_LAST_CODE_POINT = 0x10FFFF


@dataclass(slots=True)
class Page:
    """Current objects and common prefixes. `next`: the key or prefix to go on after."""

    entries: list[ObjectRow]
    prefixes: list[str]
    truncated: bool
    next: str | None


@dataclass(slots=True)
class VersionPage:
    """Versions and common prefixes. `next`: key and version id (None after a prefix)."""

    entries: list[VersionRow]
    prefixes: list[str]
    truncated: bool
    next: tuple[str, str | None] | None


async def list_objects(
    store: Store,
    bucket: BucketView,
    prefix: str,
    delimiter: str | None,
    after: str,
    max_keys: int,
) -> Page:
    """Current objects whose keys begin with `prefix`, after a key or a common prefix."""
    walk = bounds(prefix, after, delimiter)
    if max_keys <= 0 or walk is None:
        return Page([], [], False, None)
    rows = await store.lanes.fetch(
        MISC,
        _CURRENT,
        (bucket.id, prefix, holdable(delimiter), walk.start, walk.upper, max_keys + 1),
    )
    truncated = len(rows) > max_keys
    if truncated:
        rows.pop()
    prefixes = [row[0] for row in rows if row[1] is None] if delimiter else []
    return Page(
        [
            (key, modified, etag, size, storage_class, _CHECKSUMS.get(checksum))
            for key, modified, etag, size, storage_class, checksum in rows
            if modified is not None
        ],
        prefixes,
        truncated,
        rows[-1][0] if truncated else None,
    )


async def list_versions(
    store: Store,
    bucket: BucketView,
    prefix: str,
    delimiter: str | None,
    key_marker: str,
    version_id_marker: str | None,
    max_keys: int,
) -> VersionPage:
    """All versions, newest first within a key; those of `key_marker` only after
    `version_id_marker`.

    When the marker's version has gone since, its key's versions are shown again: a version left out
    would be worse than one shown twice.
    """
    within = wire.version_id(version_id_marker) if version_id_marker else None
    walk = bounds(prefix, key_marker, delimiter)
    if max_keys <= 0 or walk is None:
        return VersionPage([], [], False, None)
    start, within = within_key(walk, key_marker, within)
    rows = await store.lanes.fetch(
        MISC,
        _VERSIONS,
        (bucket.id, prefix, holdable(delimiter), start, within, walk.upper, max_keys + 1),
    )
    truncated = len(rows) > max_keys
    if truncated:
        rows.pop()
    return VersionPage(
        [
            (
                key,
                wire.NULL if null else version.hex,
                latest,
                marker,
                modified,
                etag,
                size,
                storage,
                _CHECKSUMS.get(checksum),
            )
            for key, version, latest, marker, null, modified, etag, size, storage, checksum in rows
            if version is not None
        ],
        [row[0] for row in rows if row[1] is None],
        truncated,
        (rows[-1][0], rows[-1][1] and wire.shown(rows[-1][1], is_null=rows[-1][4]))
        if truncated
        else None,
    )


# `algorithm/type` as the listing's SQL gives it; thousands of rows share these few mappings.
_CHECKSUMS: dict[str | None, dict[str, str]] = {
    f"{algorithm}/{kind}": {"algorithm": algorithm, "type": kind, "value": ""}
    for algorithm in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")
    for kind in ("FULL_OBJECT", "COMPOSITE")
}


@dataclass(slots=True, frozen=True)
class Bounds:
    """Where a page begins, and before what it ends (None: with the bucket)."""

    start: str
    upper: str | None


def bounds(prefix: str, after: str, delimiter: str | None) -> Bounds | None:
    """The walk of a page; None when nothing can be on it.

    After a common prefix one goes on behind all the keys it stands for. A marker somewhere inside
    one shows it again: not all of what it stands for has been shown.
    """
    if "\0" in prefix:
        return None  # no key holds it
    # Keys hold no NUL: what comes after "a\\0b" is what comes after "a".
    after = after.partition("\0")[0]
    upper = after_prefix(prefix)
    if delimiter and after.startswith(prefix) and after != prefix:
        place = after.find(delimiter, len(prefix))
        if place >= 0 and place + len(delimiter) == len(after):
            beyond = after_prefix(after)
            if beyond is None or (upper is not None and not _is_before(beyond, upper)):
                return None
            return Bounds(beyond, upper)
    if _is_before(after, prefix):
        return Bounds(prefix, upper)
    if upper is not None and not _is_before(after, upper):
        return None
    return Bounds(_following(after), upper)


def within_key(walk: Bounds, marker: str, within: UUID | None) -> tuple[str, UUID | None]:
    """Where a page begins that goes on inside the key `marker`, behind its row `within`.

    A marker that is no key of the page (a common prefix, something in front) has no such rows.
    """
    if within is not None and walk.start == _following(marker):
        return marker, within
    return walk.start, None


def _following(key: str) -> str:
    """The smallest text behind `key`: no key holds NUL."""
    return key + "\1"


def _is_before(one: str, other: str) -> bool:
    # Code points and UTF-8 bytes have the same order.
    return one < other


def holdable(delimiter: str | None) -> str:
    """A delimiter the database can hold; one with NUL occurs in no key."""
    return "" if delimiter is None or "\0" in delimiter else delimiter


def after_prefix(prefix: str) -> str | None:
    """The smallest text greater than all that begin with `prefix`; None when there is none."""
    while prefix:
        code = ord(prefix[-1])
        prefix = prefix[:-1]
        if code < _LAST_CODE_POINT:
            return prefix + chr(0xE000 if code == 0xD7FF else code + 1)
    return None
