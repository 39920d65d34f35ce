"""What a handler acts on, once the gate has made sure of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3.wire import Call

if TYPE_CHECKING:
    from buckets.views import BucketView


def bucket_of(call: Call) -> BucketView:
    """Return the request's bucket, which is there: the gate has seen it."""
    bucket = call.found.bucket
    assert bucket is not None
    return bucket


def key_of(call: Call) -> str:
    """Return the request's key, which operations upon objects have."""
    key = call.key
    assert key is not None
    return key
