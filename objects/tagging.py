"""The tags of a version: replaced as a whole, without a new version."""

from __future__ import annotations

from collections.abc import Mapping

from objects import wire
from objects.commits import Row
from objects.found import Found
from objects.outcomes import refusal
from objects.store import Store


async def put(store: Store, found: Found, key: str, tags: Mapping[str, str]) -> None:
    """Give the version that was looked up these tags; ETag and Last-Modified stay."""
    await amend(store, found, key, {"tags": tags})


async def amend(store: Store, found: Found, key: str, changed: Mapping[str, object]) -> None:
    """Set columns that may change: tags, acl, lock_mode, lock_until, lock_hold, replication."""
    bucket = found.bucket
    assert bucket is not None
    body: dict[str, object] = {"bucket_id": bucket.id, "key": key, "set": changed}
    asked = found.question.version
    if asked is not None:
        body["version_id"] = None if asked == wire.NULL_ID else asked
    row = Row("amend", found, key, body)
    outcome = await store.commit(row, found)
    if outcome.outcome != "done":
        raise refusal(outcome, row)
