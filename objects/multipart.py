"""Multipart uploads: begin, send parts, make a version of them, or drop them.

Here: the verbs that change something. Not here: listing uploads and parts (uploads), the judgement
of a list of parts (assembly), the commit (sql/uploads.sql).

Promise: one Complete makes one version however often it is sent or retried; a part that was
acknowledged is there until Complete or Abort; of Complete and Abort at once exactly one wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from core import failpoints
from core.errors import InvalidRequest, NoSuchUpload, SlowDown
from core.names import new_id
from core.streams import Body
from objects import assembly, queries, wire
from objects.assembly import ListedPart
from objects.commits import Row
from objects.draft import ChecksumClaim, Conditions, Draft, Written
from objects.found import Found
from objects.outcomes import refusal
from objects.queries import Upload
from objects.store import Store
from objects.uploads import Parts as Parts
from objects.uploads import Uploads as Uploads
from objects.uploads import list_parts as list_parts
from objects.uploads import list_uploads as list_uploads
from objects.write import commit_taken

COMPLETING = failpoints.declare(
    "complete.before_commit",
    point="C16",
    doc="A list of parts was found right, nothing is committed.",
)
COMPLETED = failpoints.declare(
    "complete.committed", point="C16", doc="A Complete is committed, its client has not been told."
)
ABORTING = failpoints.declare(
    "abort.before_commit", point="C16", doc="An Abort was asked for, nothing is committed."
)
_ATTEMPTS = 5


async def create(
    store: Store,
    found: Found,
    key: str,
    draft: Draft,
    *,
    checksum_algorithm: str | None,
    checksum_type: str | None,
) -> str:
    """Begin an upload that holds everything of the object but its bytes; the id clients use."""
    bucket = found.bucket
    assert bucket is not None
    upload_id = new_id()
    caller = found.caller
    row = Row(
        "upload",
        found,
        key,
        {
            "id": upload_id,
            "bucket_id": bucket.id,
            "key": key,
            "initiator_id": caller.user_id if caller else None,
            "owner_id": caller.tenant_id if caller else None,
            "headers": draft.headers,
            "metadata": draft.metadata,
            "tags": draft.tags,
            "acl": draft.acl,
            "storage_class": draft.storage_class,
            "storage_policy": bucket.storage_policy,
            "checksum_algorithm": checksum_algorithm,
            "checksum_type": checksum_type,
            "lock_hold": False,
        },
    )
    outcome = await store.commit(row, found)
    if outcome.outcome != "done":
        raise refusal(outcome, row)
    return upload_id.hex


async def upload_part(
    store: Store, found: Found, key: str, upload_id: str, number: int, body: Body, draft: Draft
) -> Written:
    """Store one part, in place of any earlier one of its number."""
    upload = await _open_upload(store, found, key, upload_id)
    assert found.bucket is not None
    part_id = new_id()
    taken = await store.intake.take(
        body,
        part_draft(draft, upload),
        policy=upload.storage_policy,
        ack=found.bucket.ack,
        name=part_id,
    )
    checksum = taken.checksum
    row = part_row(
        found, upload, part_id, number, size=taken.size, etag=taken.etag, checksum=checksum
    )
    outcome = await commit_taken(store, found, row, taken)
    if draft.checksum is None and upload.checksum_algorithm is None:
        checksum = None  # what the client neither sent nor asked for
    return Written(
        version_id=None, etag=taken.etag, checksums=checksum, last_modified=outcome.last_modified
    )


def part_row(
    found: Found,
    upload: Upload,
    part_id: UUID,
    number: int,
    *,
    size: int,
    etag: str,
    checksum: dict[str, str] | None,
) -> Row:
    """The commit row of a part; its extents are to be added."""
    return Row(
        "part",
        found,
        upload.key,
        {
            "id": part_id,
            "bucket_id": upload.bucket_id,
            "key": upload.key,
            "upload_id": upload.id,
            "number": number,
            "size": size,
            "etag": etag,
            "checksums": {checksum["algorithm"]: checksum["value"]} if checksum else {},
        },
    )


async def complete(
    store: Store,
    found: Found,
    key: str,
    upload_id: str,
    parts: Sequence[ListedPart],
    *,
    conditions: Conditions,
    checksum: ChecksumClaim | tuple[str, str | None] | None = None,
    checksum_type: str | None = None,
    size: int | None = None,
) -> Written:
    """Make the listed parts the latest version of the key."""
    bucket = found.bucket
    assert bucket is not None
    version_id = new_id()
    for _ in range(_ATTEMPTS):
        # The parts first: an upload found open afterwards had them then, and a completed one has
        # none any more.
        sent = await queries.parts_numbered(
            store.lanes, wire.upload_id(upload_id), [part.number for part in parts]
        )
        upload = await _upload(store, found, key, upload_id)
        if upload.state == "completed":
            return await _answer_again(store, upload, parts)
        assembled = assembly.assemble(
            upload, parts, sent, part_min_bytes=store.config.limits.part_min_bytes
        )
        _check_claims(assembled, upload, checksum, checksum_type, size)
        row = Row(
            "complete",
            found,
            key,
            _version_of(upload, version_id, assembled),
            conditions=conditions.as_json(),
        )
        await COMPLETING.reach()
        outcome = await store.commit(row, found)
        if outcome.outcome == "done":
            COMPLETED.hit()
            return Written(
                version_id=wire.shown(version_id, is_null=outcome.is_null),
                etag=assembled.etag,
                checksums=assembled.checksum,
                last_modified=outcome.last_modified,
            )
        # `parts`: one was sent anew since it was read. `no_upload`: another Complete or Abort has
        # won.
        if outcome.outcome not in ("parts", "no_upload"):
            raise refusal(outcome, row)
    raise SlowDown()


def _check_claims(
    assembled: assembly.Assembled,
    upload: Upload,
    checksum: ChecksumClaim | tuple[str, str | None] | None,
    checksum_type: str | None,
    size: int | None,
) -> None:
    if size is not None and size != assembled.size:
        raise InvalidRequest(
            f"The provided 'x-amz-mp-object-size' header value {size} does not match what was"
            f" computed: {assembled.size}"
        )
    kind = upload.checksum_type or (assembled.checksum or {}).get("type")
    if checksum_type is not None and checksum_type != kind:
        raise InvalidRequest(
            f"The upload was created using the {kind} checksum mode. The complete"
            " request must use the same checksum mode."
        )
    if checksum is not None:
        algorithm, value = (
            checksum if isinstance(checksum, tuple) else (checksum.algorithm, checksum.value)
        )
        assembly.check_whole(assembled, algorithm, value)


def _version_of(upload: Upload, version_id: UUID, assembled: assembly.Assembled) -> dict[str, Any]:
    return {
        "id": version_id,
        "bucket_id": upload.bucket_id,
        "key": upload.key,
        "upload_id": upload.id,
        "part_ids": assembled.part_ids,
        "completed": assembled.listed,
        "size": assembled.size,
        "etag": assembled.etag,
        "checksums": assembled.checksum,
        "parts": assembled.parts,
        "headers": upload.headers,
        "metadata": upload.metadata,
        "tags": upload.tags,
        "storage_class": upload.storage_class,
        "storage_policy": upload.storage_policy,
        "acl": upload.acl,
        "lock_hold": False,
    }


async def _answer_again(store: Store, upload: Upload, parts: Sequence[ListedPart]) -> Written:
    """The answer a completed upload has had, while its version stands and the list is the same."""
    assert upload.version_id is not None
    made = await queries.completed_version(store.lanes, upload.version_id)
    if made is None or upload.completed != assembly.listed(parts):
        raise NoSuchUpload(upload_id=upload.upload_id)
    version_id, etag, checksum, last_modified, is_null = made
    return Written(
        version_id=wire.shown(version_id, is_null=is_null),
        etag=etag,
        checksums=checksum,
        last_modified=last_modified,
    )


async def abort(store: Store, found: Found, key: str, upload_id: str) -> None:
    """Drop an upload and its parts."""
    upload = await _open_upload(store, found, key, upload_id)
    body = {"bucket_id": upload.bucket_id, "key": key, "upload_id": upload.id}
    row = Row("abort", found, key, body)
    await ABORTING.reach()
    outcome = await store.commit(row, found)
    if outcome.outcome != "done":
        raise refusal(outcome, row)


async def _upload(store: Store, found: Found, key: str, upload_id: str) -> Upload:
    assert found.bucket is not None
    upload = await queries.upload(store.lanes, wire.upload_id(upload_id), found.bucket.id, key)
    if upload is None:
        raise NoSuchUpload(upload_id=upload_id)
    return upload


async def _open_upload(store: Store, found: Found, key: str, upload_id: str) -> Upload:
    upload = await _upload(store, found, key, upload_id)
    if upload.state != "open":
        raise NoSuchUpload(upload_id=upload_id)
    return upload


def part_draft(draft: Draft, upload: Upload) -> Draft:
    """What a part is hashed with: the upload's algorithm, which the client must not contradict."""
    declared = upload.checksum_algorithm
    if draft.checksum is None:
        return replace(draft, algorithm=declared)
    if declared is not None and draft.checksum.algorithm != declared:
        raise InvalidRequest(
            f"Checksum Type mismatch occurred, expected checksum Type: {declared.lower()},"
            f" actual checksum Type: {draft.checksum.algorithm.lower()}"
        )
    return draft
