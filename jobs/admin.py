"""Jobs in Django admin: what is owed and how far it is; pause, resume, cancel, retry."""

from __future__ import annotations

from collections.abc import Callable, Collection
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from jobs import control
from jobs.admin_base import KeptAdmin, ReadOnlyAdmin
from jobs.catalogue import FAMILIES
from jobs.models import Change, Job, JobDone, JobFamily


class FamilyFilter(admin.SimpleListFilter):
    """Families as the catalogue lists them; a DISTINCT over the table would read all of it."""

    title = "family"
    parameter_name = "family"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [(name, name) for name in FAMILIES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        return queryset.filter(family=self.value()) if self.value() else queryset


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    """Unfinished jobs. They are changed by actions only: the runner owns the columns."""

    list_display = (
        "family", "subject", "state", "priority", "progress", "attempts", "run_at", "lease_until",
        "last_error", "changed",
    )  # fmt: skip
    list_display_links = ("family", "subject")
    list_filter = (FamilyFilter, "state", "cancel_requested")
    search_fields = ("=id", "subject", "key", "last_error")
    ordering = ("priority", "run_at")
    show_full_result_count = False
    actions = ("pause", "resume", "cancel", "retry")

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Who may change jobs may pause, resume, cancel and retry them."""
        return request.user.has_perm("jobs.change_job")

    @admin.action(description="Pause", permissions=["operate"])
    def pause(self, request: HttpRequest, chosen: QuerySet[Job]) -> None:
        self._do(request, chosen, control.pause, "paused")

    @admin.action(description="Resume", permissions=["operate"])
    def resume(self, request: HttpRequest, chosen: QuerySet[Job]) -> None:
        self._do(request, chosen, control.resume, "resumed")

    @admin.action(description="Cancel", permissions=["operate"])
    def cancel(self, request: HttpRequest, chosen: QuerySet[Job]) -> None:
        self._do(request, chosen, control.cancel, "cancelled")

    @admin.action(description="Retry now", permissions=["operate"])
    def retry(self, request: HttpRequest, chosen: QuerySet[Job]) -> None:
        self._do(request, chosen, control.retry, "queued to run now")

    def _do(
        self,
        request: HttpRequest,
        chosen: QuerySet[Job],
        does: Callable[[Collection[UUID]], int],
        done: str,
    ) -> None:
        number = does(list(chosen.values_list("id", flat=True)))
        messages.info(request, f"{number} {'job' if number == 1 else 'jobs'} {done}.")


@admin.register(JobDone)
class JobDoneAdmin(ReadOnlyAdmin):
    """Finished jobs, until their day is dropped."""

    list_display = ("family", "subject", "outcome", "progress", "attempts", "finished")
    list_display_links = ("family", "subject")
    list_filter = (FamilyFilter, "outcome", "finished")
    search_fields = ("=id", "subject", "last_error")
    ordering = ("-finished",)
    show_full_result_count = False


@admin.register(JobFamily)
class JobFamilyAdmin(KeptAdmin):
    """What operators set for a family; empty fields mean the catalogue's values."""

    list_display = ("name", "paused", "interval_s", "steps_per_s", "last_slot", "changed")
    list_editable = ("paused",)
    list_filter = ("paused",)
    search_fields = ("name",)
    readonly_fields = ("name", "last_slot", "changed")
    ordering = ("name",)


@admin.register(Change)
class ChangeAdmin(ReadOnlyAdmin):
    """The journal's rows, the latest first."""

    list_display = ("id", "at", "kind", "bucket_id", "key", "seq")
    list_filter = ("kind", "at")
    search_fields = ("=bucket_id", "key")
    ordering = ("-id",)
    show_full_result_count = False
