"""Buckets and the documents that configure them.

Not here: what changes them (control), what they hold (objects).

Promise: any change of a bucket or of one of its documents raises the bucket's `revision` and leaves
a `change` row, whoever makes it: triggers do both (sql/buckets.sql).
"""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from core.names import new_id
from tenants.models import Tenant

UNVERSIONED = ""
ENABLED = "Enabled"
SUSPENDED = "Suspended"
VERSIONING = (UNVERSIONED, ENABLED, SUSPENDED)

FAST = "fast"
STRICT = "strict"

DOCUMENT_KINDS = (
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "encryption",
    "intelligent_tiering",
    "inventory",
    "lifecycle",
    "logging",
    "metrics",
    "notification",
    "object_lock",
    "ownership",
    "policy",
    "public_access",
    "replication",
    "request_payment",
    "tagging",
    "website",
)


class Bucket(models.Model):
    """A bucket; its name is global."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="buckets")
    name = models.TextField(unique=True, db_collation="C")
    region = models.TextField()
    versioning = models.TextField(
        choices=[(UNVERSIONED, "never enabled"), (ENABLED, ENABLED), (SUSPENDED, SUSPENDED)],
        default=UNVERSIONED,
        blank=True,
    )
    storage_policy = models.TextField(default="ec-6-3")
    ack = models.TextField(choices=[(FAST, FAST), (STRICT, STRICT)], default=FAST)
    object_lock = models.BooleanField(default=False)
    revision = models.BigIntegerField(default=0, editable=False)
    created = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "bucket"
        constraints = [
            models.CheckConstraint(
                condition=Q(name__regex=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"), name="bucket_name"
            ),
            models.CheckConstraint(
                condition=Q(versioning__in=VERSIONING), name="bucket_versioning"
            ),
            models.CheckConstraint(condition=Q(ack__in=[FAST, STRICT]), name="bucket_ack"),
            models.CheckConstraint(
                condition=Q(object_lock=False) | Q(versioning=ENABLED), name="bucket_lock_versions"
            ),
        ]
        indexes = [models.Index(fields=["tenant", "name"], name="bucket_of_tenant")]

    def __str__(self) -> str:
        return self.name


class BucketDocument(models.Model):
    """One configuration document of a bucket, kept as it was sent."""

    id = models.BigAutoField(primary_key=True)
    bucket = models.ForeignKey(Bucket, on_delete=models.CASCADE, related_name="documents")
    kind = models.TextField(choices=[(kind, kind) for kind in DOCUMENT_KINDS])
    body = models.TextField()
    revision = models.BigIntegerField(default=0, editable=False)
    changed = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "bucket_document"
        verbose_name = "bucket document"
        constraints = [
            models.UniqueConstraint(fields=["bucket", "kind"], name="bucket_document_once"),
            models.CheckConstraint(
                condition=Q(kind__in=DOCUMENT_KINDS), name="bucket_document_kind"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.bucket_id} {self.kind}"
