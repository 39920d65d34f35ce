"""Asking whether the caller may also do something else: a copy's source, a key of many.

The gate has asked for the operation itself; this is for the further resources only some handlers
come to know, and for what an error may tell. What a commit depends on is asked again with it
(`ask_again`), should configuration move meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from core.errors import AccessDenied
from s3.subject import bucket_of
from s3.wire import Call
from tenants import access

if TYPE_CHECKING:
    from buckets.views import BucketView
    from objects.found import Found
    from tenants.principal import Caller


def may(call: Call, action: str, key: str | None = None) -> bool:
    """Say whether the caller may do `action` on the request's bucket, or on a key in it."""
    return may_in(call.caller, bucket_of(call), action, key)


def may_in(caller: Caller | None, bucket: BucketView, action: str, key: str | None) -> bool:
    """Say whether `caller` may do `action` on `bucket`, or on a key in it."""
    name = bucket.name if key is None else f"{bucket.name}/{key}"
    return access.decide(caller, action, bucket.tenant_id, f"arn:aws:s3:::{name}").allowed


def require_in(caller: Caller | None, bucket: BucketView, action: str, key: str | None) -> None:
    """Refuse unless `caller` may."""
    if not may_in(caller, bucket, action, key):
        raise AccessDenied()


def ask_again(call: Call, question: Callable[[Found], None]) -> None:
    """Have a commit ask `question` too, whenever it has to decide about the call once more."""
    decided = call.found.check

    def check(fresh: Found) -> None:
        if decided is not None:
            decided(fresh)
        question(fresh)

    call.found.check = check
