"""PUT: store a body as the latest version of a key."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from core import failpoints
from core.errors import SlowDown
from core.names import new_id
from core.streams import Body
from objects import wire
from objects.commits import Outcome, Row
from objects.draft import Draft, Written
from objects.found import BucketView, Found
from objects.intake import Taken
from objects.outcomes import refusal
from objects.store import Store

COMMITTED = failpoints.declare(
    "put.committed", point="C8", doc="A version is committed, its client has not been told."
)
_ATTEMPTS = 5


async def put(store: Store, found: Found, key: str, body: Body, draft: Draft) -> Written:
    """Make `body` the latest version of `key`; durable and visible when this returns."""
    bucket = found.bucket
    assert bucket is not None
    version_id = new_id()
    taken = await store.intake.take(
        body, draft, policy=bucket.storage_policy, ack=bucket.ack, name=version_id
    )
    made = described(version_id, bucket, key, draft)
    made["size"] = taken.size
    made["etag"] = taken.etag
    made["checksums"] = taken.checksum
    row = Row("put", found, key, made, conditions=draft.conditions.as_json())
    outcome = await commit_taken(store, found, row, taken)
    COMMITTED.hit()
    return Written(
        version_id=wire.shown(version_id, is_null=outcome.is_null),
        etag=taken.etag,
        checksums=taken.checksum,
        last_modified=outcome.last_modified,
    )


def described(version_id: UUID, bucket: BucketView, key: str, draft: Draft) -> dict[str, Any]:
    """The columns of a new version that do not come from its bytes."""
    return {
        "id": version_id,
        "bucket_id": bucket.id,
        "key": key,
        "headers": draft.headers,
        "metadata": draft.metadata,
        "tags": draft.tags,
        "storage_class": draft.storage_class,
        "storage_policy": bucket.storage_policy,
        "acl": draft.acl,
        "lock_hold": False,
    }


async def commit_taken(store: Store, found: Found, row: Row, taken: Taken) -> Outcome:
    """Commit a row that names the body taken in; append that again while its segment gets
    closed."""
    try:
        for _ in range(_ATTEMPTS):
            row.body["extents"] = taken.extents
            row.fresh = taken.stored
            outcome = await store.commit(row, found)
            if outcome.outcome == "done":
                return outcome
            if outcome.outcome != "closed" or not taken.may_append_again:
                raise refusal(outcome, row)
            await taken.append_again()
        raise SlowDown()
    finally:
        taken.close()
