"""Zones, nodes, drives and segments in Django admin.

Rows are made by registration and by the store itself; an operator edits a zone's name and a drive's
weight here. Everything else is observed.
"""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from jobs.admin_base import KeptAdmin, ReadOnlyAdmin
from storage_nodes.models import Drive, Node, Zone
from storage_nodes.segment_models import RetiredLayout, Segment, SegmentShard
from tenants import audit


class _Audited(KeptAdmin):
    """Edits leave an audit entry."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        # Only what was edited: health writes the other columns at the same time.
        obj.save(update_fields=form.changed_data)
        audit.record(
            f"admin:{request.user.get_username()}",
            f"{obj._meta.db_table}.change",
            str(obj),
            fields=sorted(form.changed_data),
        )


@admin.register(Zone)
class ZoneAdmin(_Audited):
    """Failure domains."""

    list_display = ("name",)
    search_fields = ("name",)
    ordering = ("name",)


@admin.register(Node)
class NodeAdmin(_Audited):
    """Daemons."""

    list_display = ("name", "zone", "state", "address", "last_seen")
    list_filter = ("state", "zone")
    list_select_related = ("zone",)
    search_fields = ("name", "address")
    fields = ("name", "zone", "state", "address", "socket", "host", "last_seen", "id")
    readonly_fields = ("id", "name", "state", "address", "socket", "host", "last_seen")
    ordering = ("name",)


@admin.register(Drive)
class DriveAdmin(_Audited):
    """Drives; weight is what an operator decides."""

    list_display = ("id", "node", "path", "state", "weight", "size_bytes", "free_bytes", "reason")
    list_filter = ("state", "node__zone", "node")
    list_select_related = ("node",)
    search_fields = ("path", "uuid", "node__name", "reason")
    readonly_fields = (
        "uuid",
        "node",
        "path",
        "state",
        "draining",
        "reason",
        "size_bytes",
        "free_bytes",
        "device",
        "gone_since",
        "last_seen",
    )
    ordering = ("id",)


@admin.register(Segment)
class SegmentAdmin(ReadOnlyAdmin):
    """Segments: where the bytes are."""

    list_display = ("id", "storage_policy", "layout", "state", "epoch", "size", "drives", "created")
    list_filter = ("state", "layout", "storage_policy")
    search_fields = ("id",)
    show_full_result_count = False
    ordering = ("-id",)


@admin.register(SegmentShard)
class SegmentShardAdmin(ReadOnlyAdmin):
    """Shards that are not where or as they should be."""

    list_display = ("segment_id", "epoch", "index", "drive_id", "state", "noticed")
    list_filter = ("state",)
    search_fields = ("segment__id",)
    show_full_result_count = False
    ordering = ("-id",)


@admin.register(RetiredLayout)
class RetiredLayoutAdmin(ReadOnlyAdmin):
    """Replaced shard files on their way to the trash."""

    list_display = ("segment_id", "epoch", "layout", "drives", "not_before", "trashed_at")
    list_filter = ("layout",)
    search_fields = ("segment_id",)
    show_full_result_count = False
    ordering = ("-id",)
