"""Gauges say what the rows say."""

from __future__ import annotations

import pytest

from buckets import control
from core import metrics
from core.names import new_id
from jobs import statements
from jobs.catalogue import USAGE
from storage_nodes.models import Drive, Node, Zone
from tenants import accounts
from tests.support.work import owe
from workers.gauges import measure

pytestmark = pytest.mark.django_db


def test_waiting_jobs_are_counted_by_family_and_state():
    owe(USAGE, "a")
    owe(USAGE, "b")

    measure()

    assert metrics.jobs_waiting.value(("usage", "ready")) == 2
    assert metrics.jobs_waiting.value(("usage", "leased")) == 0


def test_usage_is_told_per_bucket():
    tenant = accounts.create_tenant("acme").tenant
    bucket = control.create(tenant.id, "photos", region="r")
    statements.changed(
        "INSERT INTO usage (bucket_id, bytes, objects, versions) VALUES (%(id)s, 7, 2, 2)"
        " ON CONFLICT (bucket_id) DO UPDATE SET bytes = 7, objects = 2",
        id=bucket.id,
    )

    measure()

    assert metrics.bytes_stored.value(("photos",)) == 7
    assert metrics.objects_stored.value(("photos",)) == 2


def test_drives_are_counted_by_state_and_their_room_told():
    node = Node.objects.create(id=new_id(), name="a", zone=Zone.objects.create(name="a"))
    here, gone = (
        Drive.objects.create(uuid=new_id(), node=node, state=state, size_bytes=9, free_bytes=free)
        for state, free in (("active", 4), ("removed", 5))
    )

    measure()

    assert {state: number for (state,), number in metrics.drives.values.items()} == {
        "active": 1, "draining": 0, "gone": 0, "fenced": 0, "removed": 1,
    }  # fmt: skip
    assert metrics.drive_free.value((str(here.id),)) == 4
    assert metrics.drive_size.value((str(here.id),)) == 9
    assert (str(gone.id),) not in metrics.drive_free.values


def seal(policy: str) -> None:
    statements.changed(
        "INSERT INTO segment (id, storage_policy, layout, state, epoch, drives, sealed_at)"
        " VALUES (%(id)s, %(policy)s, 'replicated', 'sealed', 1, '{1,2,3}',"
        " now() - interval '1 hour')",
        id=new_id(),
        policy=policy,
    )


def test_nothing_sealed_means_no_lag():
    measure()

    assert metrics.encode_lag.value() == 0.0


def test_a_sealed_segment_that_is_to_be_coded_is_a_lag():
    seal("ec-6-3")

    measure()

    assert metrics.encode_lag.value() >= 3600


def test_a_segment_that_is_never_coded_is_none():
    seal("rep-3")

    measure()

    assert metrics.encode_lag.value() == 0.0


def test_a_change_that_is_in_no_file_of_the_journal_is_a_lag():
    statements.changed("INSERT INTO change (kind, at) VALUES ('old', now() - interval '1 hour')")

    measure()

    assert metrics.journal_lag.value() >= 3600


def test_what_is_in_a_file_of_the_journal_is_none():
    statements.changed("INSERT INTO change (kind, at) VALUES ('old', now() - interval '1 hour')")
    statements.changed(
        "INSERT INTO journal_state (lineage, origin, number, xid, id) SELECT gen_random_uuid(), '',"
        " 1, pg_current_xact_id(), max(id) FROM change"
    )

    measure()

    assert metrics.journal_lag.value() == 0.0
