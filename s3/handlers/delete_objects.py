"""DeleteObjects: up to a thousand keys or versions, each authorised and answered by itself."""

from __future__ import annotations

from collections.abc import Iterable

from core.errors import AccessDenied, NoSuchBucket, StoreError
from core.names import check_key
from objects import delete
from objects.delete import Entry
from objects.draft import Conditions
from objects.found import Found
from objects.store import Store
from s3.bodies import read_document
from s3.permission import ask_again, may, require_in
from s3.shapes.delete import DeletedRow, DeleteEntry, delete_result, parse_delete
from s3.wire import Call, Reply, xml_reply


async def delete_objects(call: Call, store: Store) -> Reply:
    """POST ?delete: remove what may be removed and say per key what became of it."""
    asked = parse_delete(await read_document(call, must_be_checked=True))
    refusals = [_refusal(call, entry) for entry in asked.entries]
    allowed = [
        _entry(entry)
        for entry, refusal in zip(asked.entries, refusals, strict=True)
        if refusal is None
    ]
    ask_again(call, lambda fresh: _still_allowed(fresh, allowed))
    outcomes = iter(await delete.delete_many(store, call.found, allowed))
    rows = [
        _row(entry, refusal or next(outcomes))
        for entry, refusal in zip(asked.entries, refusals, strict=True)
    ]
    return xml_reply(delete_result(rows, quiet=asked.quiet))


def _refusal(call: Call, entry: DeleteEntry) -> StoreError | None:
    if not may(call, _action(entry), entry.key):
        return AccessDenied()
    try:
        check_key(entry.key)
    except StoreError as error:
        return error
    return None


def _action(entry: DeleteEntry | Entry) -> str:
    return "s3:DeleteObjectVersion" if entry.version_id else "s3:DeleteObject"


def _still_allowed(fresh: Found, entries: Iterable[Entry]) -> None:
    if fresh.bucket is None:
        raise NoSuchBucket()
    for entry in entries:
        require_in(fresh.caller, fresh.bucket, _action(entry), entry.key)


def _entry(entry: DeleteEntry) -> Entry:
    return Entry(
        key=entry.key,
        version_id=entry.version_id,
        conditions=Conditions(
            if_match=entry.etag,
            if_match_size=entry.size,
            if_match_last_modified=entry.last_modified,
        ),
    )


def _row(entry: DeleteEntry, outcome: delete.Deleted | StoreError) -> DeletedRow:
    if isinstance(outcome, StoreError):
        shown = outcome.public
        return DeletedRow(
            key=entry.key, version_id=entry.version_id, code=shown.code, message=outcome.message
        )
    return DeletedRow(
        key=entry.key,
        version_id=entry.version_id,
        is_marker=outcome.is_marker,
        marker_version_id=outcome.version_id,
    )
