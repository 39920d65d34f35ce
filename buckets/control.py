"""Changing buckets: create, delete, versioning, documents. Synchronous; never on the data path.

Promise: whoever changes an existing bucket first holds its exclusive advisory lock, which commits
hold shared: a commit sees the change before it, or ends before it. Changes of other columns and
documents raise the bucket's revision by trigger, so the next request decides anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import UUID

from django.db import IntegrityError, connection, transaction

from buckets.models import (
    DOCUMENT_KINDS,
    ENABLED,
    SUSPENDED,
    Bucket,
    BucketDocument,
)
from buckets.views import BucketEntry, BucketView
from core.config import config
from core.errors import (
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    BucketNotEmpty,
    IllegalVersioningConfigurationException,
    InvalidBucketState,
    NoSuchBucket,
    TooManyBuckets,
)
from core.names import check_bucket_name
from tenants import audit


def create(
    tenant_id: UUID,
    name: str,
    *,
    region: str,
    documents: Mapping[str, str] | None = None,
    storage_policy: str | None = None,
    ack: str | None = None,
    object_lock: bool = False,
    actor: str = "",
) -> BucketView:
    """Create a bucket. One's own bucket is returned as it is when nothing asked for differs.

    `BucketAlreadyOwnedByYou` when something does, `BucketAlreadyExists` when another has the name.
    """
    check_bucket_name(name)
    settings = {
        "region": region,
        "storage_policy": storage_policy or config().coding.default_policy,
        "ack": ack or "fast",
        "object_lock": object_lock,
    }
    documents = documents or {}
    try:
        with transaction.atomic():
            bucket = Bucket.objects.create(
                tenant_id=tenant_id,
                name=name,
                versioning=ENABLED if object_lock else "",
                **settings,
            )
            _check_number(tenant_id)
            BucketDocument.objects.bulk_create(
                BucketDocument(bucket=bucket, kind=kind, body=body)
                for kind, body in documents.items()
            )
            audit.record(actor, "bucket.create", name, **settings)
    except IntegrityError:
        asked = {"region": region, "object_lock": object_lock}
        asked |= {"storage_policy": storage_policy} if storage_policy else {}
        asked |= {"ack": ack} if ack else {}
        return _existing(tenant_id, name, asked, documents)
    return BucketView.of(_fetch(id=bucket.id))


def delete(bucket_id: UUID, *, actor: str = "") -> None:
    """Delete an empty bucket; its open uploads and its documents go with it."""
    with _locked(bucket_id) as bucket:
        if not _is_empty(bucket_id):
            raise BucketNotEmpty(bucket_name=bucket.name)
        try:
            with transaction.atomic():
                bucket.delete()
        except IntegrityError:
            # A rule below (objects) found what the question above did not.
            raise BucketNotEmpty(bucket_name=bucket.name) from None
        audit.record(actor, "bucket.delete", bucket.name)


def set_versioning(bucket_id: UUID, status: str, *, actor: str = "") -> None:
    """Enable or suspend versioning; there is no way back to neither."""
    if status not in (ENABLED, SUSPENDED):
        raise IllegalVersioningConfigurationException()
    with _locked(bucket_id) as bucket:
        if bucket.object_lock and status != ENABLED:
            raise InvalidBucketState(
                "An Object Lock configuration is present on this bucket, so the versioning state "
                "cannot be changed.",
                bucket_name=bucket.name,
            )
        if bucket.versioning != status:
            bucket.versioning = status
            bucket.save(update_fields=["versioning"])
            audit.record(actor, "bucket.versioning", bucket.name, status=status)


def put_document(bucket_id: UUID, kind: str, body: str, *, actor: str = "") -> None:
    """Keep `body` as the bucket's document of that kind."""
    assert kind in DOCUMENT_KINDS, kind
    with _locked(bucket_id) as bucket:
        BucketDocument.objects.update_or_create(bucket=bucket, kind=kind, defaults={"body": body})
        audit.record(actor, "bucket.document.put", bucket.name, kind=kind)


def delete_document(bucket_id: UUID, kind: str, *, actor: str = "") -> None:
    """Forget the bucket's document of that kind, if there is one."""
    assert kind in DOCUMENT_KINDS, kind
    with _locked(bucket_id) as bucket:
        number, _ = BucketDocument.objects.filter(bucket=bucket, kind=kind).delete()
        if number:
            audit.record(actor, "bucket.document.delete", bucket.name, kind=kind)


def get(name: str) -> BucketView:
    """The bucket of that name."""
    return BucketView.of(_fetch(name=name))


def list_for(tenant_id: UUID, prefix: str, after: str, limit: int) -> list[BucketEntry]:
    """A tenant's buckets by name: at most `limit`, those beginning with `prefix`, past `after`."""
    found = Bucket.objects.filter(tenant_id=tenant_id).order_by("name")
    if prefix:
        found = found.filter(name__startswith=prefix)
    if after:
        found = found.filter(name__gt=after)
    return [
        BucketEntry(name=name, region=region, created=created)
        for name, region, created in found.values_list("name", "region", "created")[:limit]
    ]


@contextmanager
def _locked(bucket_id: UUID) -> Iterator[Bucket]:
    """The row, in a transaction that holds the bucket's lock exclusively; the lock comes first."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(l.high, l.low) FROM lock_bucket(%s) l", [bucket_id]
            )
        # Not before the lock: a statement sees what was committed when it began.
        bucket = Bucket.objects.filter(pk=bucket_id).first()
        if bucket is None:
            raise NoSuchBucket()
        yield bucket


def _existing(
    tenant_id: UUID, name: str, settings: Mapping[str, object], documents: Mapping[str, str]
) -> BucketView:
    view = BucketView.of(_fetch(name=name))
    if view.tenant_id != tenant_id:
        raise BucketAlreadyExists(bucket_name=name)
    same = all(getattr(view, setting) == wanted for setting, wanted in settings.items()) and all(
        view.documents.get(kind) == body for kind, body in documents.items()
    )
    if not same:
        raise BucketAlreadyOwnedByYou(bucket_name=name)
    return view


def _fetch(**where: object) -> Bucket:
    found = (
        Bucket.objects.select_related("tenant")
        .prefetch_related("documents")
        .filter(**where)
        .first()
    )
    if found is None:
        raise NoSuchBucket(bucket_name=where.get("name"))
    return found


def _check_number(tenant_id: UUID) -> None:
    most = config().limits.buckets
    if Bucket.objects.filter(tenant_id=tenant_id).count() > most:
        raise TooManyBuckets()


def _is_empty(bucket_id: UUID) -> bool:
    # `bucket_is_empty` is the objects floor's answer, given in SQL: a call down, a rule from above.
    with connection.cursor() as cursor:
        cursor.execute("SELECT bucket_is_empty(%s)", [bucket_id])
        (empty,) = cursor.fetchone()
    return bool(empty)
