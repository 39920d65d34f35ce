"""Tenants, their users and access keys, and the audit trail.

Not here: making them (accounts, credentials), judging them (access), opening secrets (keyring).

Promise: any change of a configuration row raises its `revision` and leaves a `change` row, whoever
makes it: triggers do both (sql/tenants.sql).
"""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from core.names import new_id


class Tenant(models.Model):
    """An S3 account. Buckets, users and keys belong to it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account_id = models.TextField(unique=True, help_text="Twelve digits.")
    canonical_id = models.TextField(unique=True, help_text="64 hexadecimal digits.")
    name = models.TextField(unique=True)
    display_name = models.TextField()
    email = models.TextField(unique=True, null=True, blank=True)
    suspended = models.BooleanField(default=False)
    quota_bytes = models.BigIntegerField(null=True, blank=True)
    quota_objects = models.BigIntegerField(null=True, blank=True)
    revision = models.BigIntegerField(default=0, editable=False)
    created = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "tenant"
        constraints = [
            models.CheckConstraint(
                condition=Q(account_id__regex=r"^[0-9]{12}$"), name="tenant_account_id"
            ),
            models.CheckConstraint(
                condition=Q(canonical_id__regex=r"^[0-9a-f]{64}$"), name="tenant_canonical_id"
            ),
            models.CheckConstraint(condition=~Q(name=""), name="tenant_name"),
            models.CheckConstraint(
                condition=Q(quota_bytes__isnull=True) | Q(quota_bytes__gte=0),
                name="tenant_quota_bytes",
            ),
            models.CheckConstraint(
                condition=Q(quota_objects__isnull=True) | Q(quota_objects__gte=0),
                name="tenant_quota_objects",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class AccountUser(models.Model):
    """A user of a tenant; what it may do is an IAM policy document."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="users")
    name = models.TextField()
    is_root = models.BooleanField(default=False)
    policy = models.JSONField(help_text="An IAM policy document.")
    suspended = models.BooleanField(default=False)
    revision = models.BigIntegerField(default=0, editable=False)
    created = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "account_user"
        verbose_name = "user"
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="account_user_name"),
            models.UniqueConstraint(
                fields=["tenant"], condition=Q(is_root=True), name="account_user_one_root"
            ),
            models.CheckConstraint(condition=~Q(name=""), name="account_user_named"),
        ]

    def __str__(self) -> str:
        return f"{self.tenant}/{self.name}"


class AccessKey(models.Model):
    """A key a user signs with. The secret is sealed under the master key."""

    id = models.TextField(primary_key=True, help_text="The access key id.")
    user = models.ForeignKey(AccountUser, on_delete=models.CASCADE, related_name="keys")
    secret = models.BinaryField(editable=False)
    enabled = models.BooleanField(default=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revision = models.BigIntegerField(default=0, editable=False)
    created = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "access_key"
        constraints = [
            # A slash or a colon would be read as the end of the id by a credential scope or a log.
            models.CheckConstraint(
                condition=Q(id__regex=r"^[A-Za-z0-9._+=@-]{3,128}$"), name="access_key_id"
            ),
        ]

    def __str__(self) -> str:
        return self.id


class Audit(models.Model):
    """One management action: who did what to whom."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(db_default=Now())
    actor = models.TextField()
    action = models.TextField()
    subject = models.TextField()
    detail = models.JSONField(default=dict)

    class Meta:
        db_table = "audit"
        verbose_name = "audit entry"
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["at"], name="audit_at"),
            models.Index(fields=["subject", "at"], name="audit_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.subject}"
