"""Asking whether the caller may also do something else: a copy's source, a key of many.

The gate has asked for the operation itself; this is for the further resources only some handlers
come to know, and for what an error may tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import AccessDenied
from s3.subject import bucket_of
from s3.wire import Call
from tenants import access

if TYPE_CHECKING:
    from buckets.views import BucketView


def may(call: Call, action: str, key: str | None = None) -> bool:
    """Say whether the caller may do `action` on the request's bucket, or on a key in it."""
    return may_in(call, bucket_of(call), action, key)


def may_in(call: Call, bucket: BucketView, action: str, key: str | None) -> bool:
    """Say whether the caller may do `action` on `bucket`, or on a key in it."""
    name = bucket.name if key is None else f"{bucket.name}/{key}"
    return access.decide(call.caller, action, bucket.tenant_id, f"arn:aws:s3:::{name}").allowed


def require_in(call: Call, bucket: BucketView, action: str, key: str | None) -> None:
    """Refuse unless the caller may."""
    if not may_in(call, bucket, action, key):
        raise AccessDenied()
