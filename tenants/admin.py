"""Tenants, users, keys and the audit trail in Django admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from jobs.admin_base import KeptAdmin, ReadOnlyAdmin
from tenants import audit
from tenants.models import AccessKey, AccountUser, Audit, Tenant


class _Audited(KeptAdmin):
    """Edits leave an audit entry; rows are made and deleted by the commands, which tell secrets."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        audit.record(
            f"admin:{request.user.get_username()}",
            f"{obj._meta.db_table}.change",
            str(obj),
            fields=sorted(form.changed_data),
        )


@admin.register(Tenant)
class TenantAdmin(_Audited):
    """S3 accounts."""

    list_display = ("name", "account_id", "email", "suspended", "created")
    list_filter = ("suspended", "created")
    search_fields = ("name", "account_id", "canonical_id", "email", "display_name")
    # Quotas are kept for later: nothing obeys them yet.
    exclude = ("quota_bytes", "quota_objects")
    readonly_fields = ("id", "account_id", "canonical_id", "revision", "created")
    ordering = ("name",)


@admin.register(AccountUser)
class AccountUserAdmin(_Audited):
    """Users of tenants and what they may do."""

    list_display = ("name", "tenant", "is_root", "suspended", "created")
    list_filter = ("is_root", "suspended")
    list_select_related = ("tenant",)
    search_fields = ("name", "tenant__name", "tenant__account_id")
    readonly_fields = ("id", "tenant", "is_root", "revision", "created")
    ordering = ("tenant__name", "name")


@admin.register(AccessKey)
class AccessKeyAdmin(_Audited):
    """Access keys, never their secrets."""

    list_display = ("id", "user", "enabled", "expires_at", "created")
    list_filter = ("enabled", "created")
    list_select_related = ("user__tenant",)
    search_fields = ("id", "user__name", "user__tenant__name")
    readonly_fields = ("id", "user", "revision", "created")
    ordering = ("user__tenant__name", "user__name", "created")


@admin.register(Audit)
class AuditAdmin(ReadOnlyAdmin):
    """Who did what."""

    list_display = ("at", "actor", "action", "subject")
    list_filter = ("action", "at")
    search_fields = ("actor", "subject", "action")
    ordering = ("-at", "-id")
