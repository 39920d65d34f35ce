"""What crosses floors of a bucket: plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from buckets.models import Bucket


@dataclass(frozen=True, kw_only=True, slots=True)
class BucketView:
    """A bucket as of one revision, with its owner and the documents that configure it."""

    id: UUID
    name: str
    tenant_id: UUID
    account_id: str
    canonical_id: str
    display_name: str
    region: str
    versioning: str
    storage_policy: str
    ack: str
    object_lock: bool
    documents: dict[str, str]
    created: datetime
    revision: int

    @classmethod
    def of(cls, bucket: Bucket) -> BucketView:
        """The view of a row; two further queries unless owner and documents were fetched."""
        owner = bucket.tenant
        return cls(
            id=bucket.id,
            name=bucket.name,
            tenant_id=owner.id,
            account_id=owner.account_id,
            canonical_id=owner.canonical_id,
            display_name=owner.display_name,
            region=bucket.region,
            versioning=bucket.versioning,
            storage_policy=bucket.storage_policy,
            ack=bucket.ack,
            object_lock=bucket.object_lock,
            documents={document.kind: document.body for document in bucket.documents.all()},
            created=bucket.created,
            revision=bucket.revision,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class BucketEntry:
    """A line of ListBuckets."""

    name: str
    region: str
    created: datetime
