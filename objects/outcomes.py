"""What a commit's outcome means to the one who asked for it."""

from __future__ import annotations

from core.errors import (
    AccessDenied,
    MethodNotAllowed,
    NoSuchKey,
    NoSuchUpload,
    PreconditionFailed,
    SegmentClosed,
    SlowDown,
    StoreError,
)
from objects.commits import Outcome, Row


def refusal(outcome: Outcome, row: Row) -> StoreError:
    """The error for an outcome that is not `done`."""
    match outcome.outcome:
        case "precondition":
            held = row.conditions or {}
            return PreconditionFailed(
                condition="If-None-Match" if "none_match" in held else "If-Match"
            )
        case "absent":
            return NoSuchKey(key=row.key)
        case "marker":
            return MethodNotAllowed(method="PUT", resource_type="DeleteMarker")
        case "locked":
            return AccessDenied("Access Denied because object protected by object lock.")
        case "no_upload":
            return NoSuchUpload(upload_id=row.body["upload_id"].hex)
        case "closed":
            return SegmentClosed()
        case "busy":
            return SlowDown()
    raise AssertionError(outcome.outcome)
