"""Versions, extents, uploads, parts and usage in Django admin: to look at, never to change.

These tables may hold billions of rows: lists follow an index, are counted by the planner's
estimate, and are searched by id, or by bucket and the beginning of a key, as `bucket/begin`.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.paginator import Paginator
from django.db import connection
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from jobs.admin_base import ReadOnlyAdmin
from objects.models import Extent, Part, Upload, Usage, Version

# A filtered list is counted this far and no further.
_COUNTED = 10_000


class EstimatingPaginator(Paginator):  # type: ignore[type-arg]  # any model's rows
    """Pages of a list too long to count."""

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        assert isinstance(rows, QuerySet)
        if not rows.query.where:
            estimate = _estimate(rows.model)
            if estimate > _COUNTED:
                return estimate
        return rows.order_by()[:_COUNTED].count()


def _estimate(model: type[Model]) -> int:
    """Rows of a table as the planner sees them; -1 when it has never looked."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass",
            [model._meta.db_table],
        )
        row = cursor.fetchone()
    return int(row[0])


class _LongList(ReadOnlyAdmin):
    """A list that costs what one page costs."""

    paginator = EstimatingPaginator
    show_full_result_count = False
    search_help_text = "An id, or bucket/beginning-of-key"
    # Which columns an id is looked for in, and the way to bucket and key.
    ids: tuple[str, ...] = ("id",)
    place = ""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            wanted = UUID(term)
        except ValueError:
            bucket, _, key = term.partition("/")
            named = {f"{self.place}bucket__name": bucket}
            if key:
                named[f"{self.place}key__startswith"] = key
            return queryset.filter(**named), False
        found = queryset.none()
        for column in self.ids:
            found = found | queryset.filter(**{column: wanted})
        return found, False


@admin.register(Version)
class VersionAdmin(_LongList):
    """Objects, their older versions, and delete markers."""

    list_display = (
        "bucket",
        "key",
        "shown_id",
        "is_latest",
        "is_marker",
        "size",
        "storage_policy",
        "last_modified",
    )
    list_display_links = ("key",)
    list_filter = ("is_latest", "is_marker")
    list_select_related = ("bucket",)
    search_fields = ("key",)
    ordering = ("bucket_id", "key", "rank")

    @admin.display(description="version id")
    def shown_id(self, version: Version) -> str:
        return "null" if version.is_null else version.id.hex


@admin.register(Extent)
class ExtentAdmin(_LongList):
    """Which bytes of a version or part lie where; search by version, part or segment."""

    list_display = ("id", "version_id", "part_id", "position", "segment_id", "offset", "length")
    search_fields = ("segment_id",)
    search_help_text = "The id of a version, part or segment, or bucket/beginning-of-key"
    ordering = ("-id",)
    ids = ("version_id", "part_id", "segment_id")
    place = "version__"


@admin.register(Upload)
class UploadAdmin(_LongList):
    """Multipart uploads, open ones and those completed of late."""

    list_display = ("bucket", "key", "id", "state", "initiated", "storage_class")
    list_display_links = ("key",)
    list_filter = ("state",)
    list_select_related = ("bucket",)
    search_fields = ("key",)
    ordering = ("bucket_id", "key", "initiated")


@admin.register(Part)
class PartAdmin(_LongList):
    """Parts of open uploads."""

    list_display = ("upload_id", "number", "size", "etag", "last_modified")
    search_fields = ("upload_id",)
    search_help_text = "The id of an upload or part, or bucket/beginning-of-key"
    ordering = ("upload_id", "number")
    ids = ("id", "upload_id")
    place = "upload__"


@admin.register(Usage)
class UsageAdmin(ReadOnlyAdmin):
    """What each bucket holds, as of its last fold."""

    list_display = ("bucket", "bytes", "objects", "versions", "folded_at")
    list_select_related = ("bucket",)
    search_fields = ("bucket__name",)
    ordering = ("bucket_id",)
