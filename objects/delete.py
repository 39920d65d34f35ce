"""DELETE: of a key's current version, or of one version for good."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from core import failpoints
from core.errors import InternalError, StoreError
from core.names import new_id
from objects import wire
from objects.commits import Row
from objects.draft import UNCONDITIONAL, Conditions
from objects.found import Found
from objects.outcomes import refusal
from objects.store import Store

COMMITTED = failpoints.declare(
    "delete.committed", point="C8", doc="A delete is committed, its client has not been told."
)
# Entries of one request that wait in commit batches at once.
_AT_ONCE = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One of many to delete."""

    key: str
    version_id: str | None = None
    conditions: Conditions = UNCONDITIONAL


@dataclass(frozen=True, kw_only=True, slots=True)
class Deleted:
    """What a delete did. `is_marker`: a marker was made, or the version removed was one."""

    version_id: str | None
    is_marker: bool


async def delete(
    store: Store,
    found: Found,
    key: str,
    version_id: str | None,
    conditions: Conditions,
    *,
    bypass_governance: bool = False,
) -> Deleted:
    """Delete; what is not there is deleted as well."""
    bucket = found.bucket
    assert bucket is not None
    judged = conditions.as_json()
    marker = new_id()
    if version_id is None:
        body = {"id": marker, "bucket_id": bucket.id, "key": key}
        row = Row("delete", found, key, body, conditions=judged)
    else:
        version = wire.version_id(version_id)
        body = {
            "bucket_id": bucket.id,
            "key": key,
            "version_id": None if version == wire.NULL_ID else version,
            "bypass": bypass_governance,
        }
        row = Row("delete_version", found, key, body, conditions=judged)
    outcome = await store.commit(row, found)
    if outcome.outcome != "done":
        raise refusal(outcome, row)
    COMMITTED.hit()
    if version_id is not None:
        return Deleted(version_id=version_id, is_marker=bool(outcome.is_marker))
    if not outcome.is_marker or outcome.version_id != marker:
        return Deleted(version_id=None, is_marker=False)
    return Deleted(version_id=wire.shown(marker, is_null=outcome.is_null), is_marker=True)


async def delete_many(
    store: Store, found: Found, entries: Sequence[Entry]
) -> list[Deleted | StoreError]:
    """Delete each entry by itself; one outcome per entry, in order."""
    outcomes: list[Deleted | StoreError] = []
    for first in range(0, len(entries), _AT_ONCE):
        chunk = entries[first : first + _AT_ONCE]
        results = await asyncio.gather(
            *(
                delete(store, found, entry.key, entry.version_id, entry.conditions)
                for entry in chunk
            ),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, Deleted | StoreError):
                outcomes.append(result)
            elif isinstance(result, Exception):
                error = InternalError()
                error.__cause__ = result
                outcomes.append(error)
            else:
                raise result
    return outcomes
