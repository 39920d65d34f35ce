"""Copies: a new version, or a part, of bytes that are here already.

Bytes are shared, not moved: the copy's extents name the source's segments, which the commit holds
in place. Where the target's storage policy is another, or a checksum is asked for that nobody has
computed, the bytes are read and written anew.

Promise: the source may be overwritten, deleted or rewritten while it is copied; the copy has the
bytes of the version that was looked up, or fails.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from core.errors import InvalidRequest, NoSuchUpload, SlowDown
from core.names import new_id
from core.ranges import ByteRange
from objects import extents, queries, read, wire
from objects.commits import Outcome, Row
from objects.digests import Hashing
from objects.draft import Draft, Written
from objects.found import Found, VersionView
from objects.multipart import part_draft, part_row
from objects.outcomes import refusal
from objects.store import Store
from objects.write import commit_taken, described

MAX_COPY_BYTES = 5 << 30
_ATTEMPTS = 5


async def copy(
    store: Store,
    source: Found,
    target: Found,
    key: str,
    draft: Draft,
    *,
    checksum_algorithm: str | None = None,
) -> Written:
    """Make the source's version the latest version of `key` in the target's bucket.

    `draft` says everything of the new version but its bytes.
    """
    version, bucket = source.version, target.bucket
    assert version is not None
    assert bucket is not None
    if version.size > MAX_COPY_BYTES:
        raise InvalidRequest(
            "The specified copy source is larger than the maximum allowable size for a copy"
            f" source: {MAX_COPY_BYTES}"
        )
    version_id = new_id()
    made = described(version_id, bucket, key, draft)
    row = Row("put", target, key, made, conditions=draft.conditions.as_json())
    if _may_share(version, bucket.storage_policy) and _has(version, checksum_algorithm):
        made["size"], made["etag"], made["checksums"] = (
            version.size,
            version.etag,
            version.checksums,
        )
        outcome = await _commit_shared(store, version, row, target, 0, version.size)
    else:
        taken = await store.intake.take(
            Copied(store, source, 0, version.size),
            replace(draft, algorithm=checksum_algorithm),
            policy=bucket.storage_policy,
            ack=bucket.ack,
            name=version_id,
        )
        made["size"], made["etag"], made["checksums"] = taken.size, taken.etag, taken.checksum
        outcome = await commit_taken(store, target, row, taken)
    return Written(
        version_id=wire.shown(version_id, is_null=outcome.is_null),
        etag=made["etag"],
        checksums=made["checksums"],
        last_modified=outcome.last_modified,
    )


async def part_copy(
    store: Store,
    source: Found,
    target: Found,
    key: str,
    upload_id: str,
    number: int,
    part: ByteRange | None,
) -> Written:
    """Make a range of the source's version (None: all of it) one part of an upload."""
    version, bucket = source.version, target.bucket
    assert version is not None
    assert bucket is not None
    upload = await queries.upload(store.lanes, wire.upload_id(upload_id), bucket.id, key)
    if upload is None or upload.state != "open":
        raise NoSuchUpload(upload_id=upload_id)
    start, stop = (0, version.size) if part is None else (part.start, part.stop)
    if stop - start > MAX_COPY_BYTES:
        raise InvalidRequest("The specified copy range is larger than a part may be.")
    draft = part_draft(Draft(), upload)
    part_id = new_id()
    if _may_share(version, upload.storage_policy):
        etag, checksum = await _digests(store, source, start, stop, draft)
        row = part_row(
            target, upload, part_id, number, size=stop - start, etag=etag, checksum=checksum
        )
        outcome = await _commit_shared(store, version, row, target, start, stop)
    else:
        taken = await store.intake.take(
            Copied(store, source, start, stop),
            draft,
            policy=upload.storage_policy,
            ack=bucket.ack,
            name=part_id,
        )
        etag, checksum = taken.etag, taken.checksum or {}
        row = part_row(
            target, upload, part_id, number, size=taken.size, etag=etag, checksum=checksum
        )
        outcome = await commit_taken(store, target, row, taken)
    return Written(
        version_id=None, etag=etag, checksums=checksum, last_modified=outcome.last_modified
    )


class Copied:
    """A version's bytes as a body to be taken in."""

    __slots__ = ("_at", "_found", "_reading", "_stop", "_store", "length", "trailer")

    def __init__(self, store: Store, found: Found, start: int, stop: int) -> None:
        self._store = store
        self._found = found
        self._at = start
        self._stop = stop
        self._reading: read.Reading | None = None
        self.length: int | None = stop - start
        self.trailer: dict[str, str] = {}

    async def read(self) -> bytes:
        if self._reading is None:
            wanted = ByteRange(self._at, self._stop)
            self._reading = await read.open(self._store, self._found, wanted)
        return bytes(await self._reading.next())

    async def close(self) -> None:
        if self._reading is not None:
            await self._reading.close()


def _may_share(version: VersionView, storage_policy: str) -> bool:
    return version.storage_policy == storage_policy and not version.extra.get("encryption")


def _has(version: VersionView, algorithm: str | None) -> bool:
    """Whether the checksum asked for is known of the whole object."""
    kept = version.checksums
    if algorithm is None:
        return True
    return kept is not None and kept["algorithm"] == algorithm and kept["type"] == "FULL_OBJECT"


async def _commit_shared(
    store: Store, version: VersionView, row: Row, target: Found, start: int, stop: int
) -> Outcome:
    """Commit a row over the source's own bytes; look where they are again while they are moved."""
    for _ in range(_ATTEMPTS):
        whole, epochs = await _extents(store, version)
        shared = extents.cut(whole, start, stop)
        row.body["extents"] = shared
        row.shared = {one[0]: epochs[one[0]] for one in shared}
        outcome = await store.commit(row, target)
        if outcome.outcome == "done":
            return outcome
        if outcome.outcome != "closed":
            raise refusal(outcome, row)
    raise SlowDown()


async def _extents(
    store: Store, version: VersionView
) -> tuple[list[extents.ExtentRow], dict[UUID, int]]:
    """Where the bytes are, and the epoch of each segment's layout that has them.

    A later layout holds only what was still named when it was written: the commit refuses it.
    """
    found, epochs = await queries.extents_of(store.lanes, version.id)
    if sum(row[4] for row in found) == version.size:
        return found, epochs
    # The source was deleted since: its bytes may still be where they were then.
    return [
        (one.segment_id, one.offset, one.record_size, one.skip, one.length)
        for one in version.locations
    ], {one.segment_id: one.epoch for one in version.locations}


async def _digests(
    store: Store, source: Found, start: int, stop: int, draft: Draft
) -> tuple[str, dict[str, Any]]:
    hashing = Hashing(draft, store.intake.threads)
    body = Copied(store, source, start, stop)
    try:
        while piece := await body.read():
            await hashing.feed(piece)
        return await hashing.verify(replace(draft, sha256=None), {})
    finally:
        await body.close()
