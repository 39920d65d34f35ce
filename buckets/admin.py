"""Buckets and their documents in Django admin. They are changed through the S3 API."""

from __future__ import annotations

from django.contrib import admin

from buckets.models import Bucket, BucketDocument
from jobs.admin_base import ReadOnlyAdmin


class DocumentInline(admin.TabularInline):
    """The documents of one bucket."""

    model = BucketDocument
    fields = readonly_fields = ("kind", "body", "changed")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: object, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: object, obj: object = None) -> bool:
        return False


@admin.register(Bucket)
class BucketAdmin(ReadOnlyAdmin):
    """Buckets: a change here would bypass the bucket's lock, so there is none."""

    list_display = ("name", "tenant", "region", "versioning", "storage_policy", "ack", "created")
    list_filter = ("versioning", "storage_policy", "ack", "object_lock")
    list_select_related = ("tenant",)
    search_fields = ("=id", "name", "tenant__name", "tenant__account_id")
    ordering = ("name",)
    inlines = (DocumentInline,)


@admin.register(BucketDocument)
class BucketDocumentAdmin(ReadOnlyAdmin):
    """Every bucket's configuration documents."""

    list_display = ("bucket", "kind", "changed")
    list_filter = ("kind",)
    list_select_related = ("bucket",)
    search_fields = ("bucket__name", "body")
    ordering = ("bucket__name", "kind")
