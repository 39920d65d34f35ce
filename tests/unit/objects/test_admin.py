"""The admin's long lists: searched by id or by bucket and key, counted by estimate."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.db import connection
from django.test import RequestFactory

from buckets.models import Bucket
from core.clock import now
from core.names import new_id
from objects.admin import EstimatingPaginator, VersionAdmin
from objects.models import Version
from tenants.models import Tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def versions() -> list[Version]:
    tenant = Tenant.objects.create(
        account_id="0" * 12, canonical_id="0" * 64, name="admin-test", display_name=""
    )
    bucket = Bucket.objects.create(tenant=tenant, name="admin-test", region="r")
    return [
        Version.objects.create(
            id=new_id(), bucket=bucket, key=key, rank=-1, is_latest=True, is_marker=False,
            is_null=True, size=1, etag="e", storage_policy="ec-6-3", last_modified=now(),
        )
        for key in ("dir/a", "dir/b", "other")
    ]  # fmt: skip


def found(term: str) -> list[str]:
    page = VersionAdmin(Version, admin.site)
    rows, _ = page.get_search_results(RequestFactory().get("/"), Version.objects.all(), term)
    return sorted(version.key for version in rows)


def test_versions_are_found_by_id(versions: list[Version]) -> None:
    assert found(versions[1].id.hex) == ["dir/b"]


def test_versions_are_found_by_bucket_and_beginning(versions: list[Version]) -> None:
    assert found("admin-test/dir/") == ["dir/a", "dir/b"]
    assert found("admin-test") == ["dir/a", "dir/b", "other"]
    assert found("dir/a") == []


def test_a_short_list_is_counted(versions: list[Version]) -> None:
    assert EstimatingPaginator(Version.objects.filter(key="other").order_by("key"), 100).count == 1


def test_a_long_list_is_estimated(versions: list[Version]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE pg_class SET reltuples = 123456 WHERE relname = 'version'")

    assert EstimatingPaginator(Version.objects.order_by("key"), 100).count == 123456
