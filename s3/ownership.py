"""Who owns a bucket's objects, and whether access control lists have force in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import AccessControlListNotSupported
from s3.shapes.buckets import ENFORCED

if TYPE_CHECKING:
    from buckets.views import BucketView

OWNERSHIP = "ownership"


def is_enforced(bucket: BucketView) -> bool:
    """Say whether the bucket's owner owns every object, so that lists have no force."""
    return bucket.documents.get(OWNERSHIP) == ENFORCED


def check_acl(bucket: BucketView, canned: str) -> None:
    """Refuse a list where lists have no force."""
    if canned != "bucket-owner-full-control" and is_enforced(bucket):
        raise AccessControlListNotSupported(bucket_name=bucket.name)
