"""The version a request is about, or the error S3 gives when it is not there to be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import AccessDenied, MethodNotAllowed, NoSuchKey, NoSuchVersion, StoreError
from s3.conditions import http_date
from s3.permission import may
from s3.wire import Call

if TYPE_CHECKING:
    from objects.found import VersionView


def existing(call: Call) -> VersionView:
    """Return the version that was looked up, if it is one with bytes."""
    version: VersionView | None = call.found.version
    if version is None or version.is_marker:
        raise _missing(call, version)
    return version


def _missing(call: Call, version: VersionView | None) -> StoreError:
    wire_id = call.query.get("versionId")
    if version is not None and wire_id is not None:
        return MethodNotAllowed(
            method=call.method,
            resource_type="DeleteMarker",
            headers=(
                ("x-amz-delete-marker", "true"),
                ("x-amz-version-id", version.wire_id),
                ("Last-Modified", http_date(version.last_modified)),
                ("Allow", "DELETE"),
            ),
        )
    if not may(call, "s3:ListBucket"):
        # Who may not list the bucket does not learn which keys are in it.
        return AccessDenied()
    if version is not None:
        return NoSuchKey(
            key=call.key,
            headers=(("x-amz-delete-marker", "true"), ("x-amz-version-id", version.wire_id)),
        )
    if wire_id is not None:
        return NoSuchVersion(key=call.key, version_id=wire_id)
    return NoSuchKey(key=call.key)
