"""Uploads nobody goes on with are aborted."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from core import clock
from core.names import new_id
from jobs.catalogue import SWEEP_UPLOADS
from jobs.models import JobFamily
from tests.support.clock import FakeClock
from tests.support.drives import ask
from tests.support.work import perform
from workers import sweep_uploads

TENANT, BUCKET = new_id(), new_id()
PERIOD_S = float(SWEEP_UPLOADS.every_s or 0)


@pytest.fixture(autouse=True)
def bucket(drives) -> None:
    ask(
        "INSERT INTO tenant (id, account_id, canonical_id, name, display_name, suspended, created,"
        " revision) VALUES (%s, '123456789012', repeat('a', 64), 't', 't', false, now(), 1)"
        " RETURNING id",
        TENANT,
    )
    ask(
        "INSERT INTO bucket (id, tenant_id, name, region, versioning, storage_policy, ack,"
        " object_lock, revision, created) VALUES (%s, %s, 'bucket', 'r', '', 'ec-6-3', 'fast',"
        " false, 1, now()) RETURNING id",
        BUCKET,
        TENANT,
    )


def begin(key: str, age: str) -> UUID:
    """An upload that was begun so long ago."""
    upload = new_id()
    ask(
        "SELECT commit_upload(jsonb_build_object('id', %s::uuid, 'bucket_id', %s::uuid, 'key',"
        " %s::text, 'owner_id', %s::uuid, 'headers', '{}'::jsonb, 'metadata', '{}'::jsonb,"
        " 'tags', '{}'::jsonb, 'storage_class', 'STANDARD', 'storage_policy', 'ec-6-3',"
        " 'lock_hold', false), now() - %s::interval)",
        upload,
        BUCKET,
        key,
        TENANT,
        age,
    )
    return upload


def send_part(upload: UUID, age: str) -> None:
    ask(
        "INSERT INTO part (id, upload_id, number, size, etag, checksums, seq, last_modified)"
        " SELECT %s, %s, count(*) + 1, 0, '', '{}', nextval('version_seq'), now() - %s::interval"
        " FROM part RETURNING id",
        new_id(),
        upload,
        age,
    )


def open_uploads() -> list[str]:
    return [key for (key,) in ask("SELECT key FROM upload ORDER BY key")]


def pass_time(seconds: float) -> None:
    """The clock has gone on since the last round."""
    ask(
        "UPDATE upload_found_stale SET since = since - make_interval(secs => %s)"
        " RETURNING upload_id",
        seconds,
    )


def two_rounds() -> None:
    perform(sweep_uploads.sweep_uploads)
    pass_time(PERIOD_S)
    perform(sweep_uploads.sweep_uploads)


def test_a_stale_upload_is_aborted_and_a_young_one_is_not():
    begin("old", "2 days")
    begin("young", "1 hour")
    send_part(begin("busy", "2 days"), "1 hour")
    send_part(begin("left", "3 days"), "2 days")

    two_rounds()

    assert open_uploads() == ["busy", "young"]
    assert ask("SELECT count(*) FROM upload_found_stale") == [(0,)]


def test_a_jump_of_the_clock_alone_aborts_nothing():
    begin("old", "2 days")

    perform(sweep_uploads.sweep_uploads)
    pass_time(PERIOD_S - 60)
    perform(sweep_uploads.sweep_uploads)

    assert open_uploads() == ["old"]


def test_a_part_between_two_rounds_saves_its_upload_however_old_it_looks():
    alive = begin("alive", "3 days")
    send_part(alive, "2 days")
    perform(sweep_uploads.sweep_uploads)
    pass_time(PERIOD_S)
    send_part(alive, "2 days")

    perform(sweep_uploads.sweep_uploads)

    assert open_uploads() == ["alive"]
    pass_time(PERIOD_S)
    perform(sweep_uploads.sweep_uploads)
    assert open_uploads() == []


def test_what_was_found_before_the_clock_was_put_back_is_found_anew():
    begin("old", "2 days")
    perform(sweep_uploads.sweep_uploads)
    pass_time(-86400)

    perform(sweep_uploads.sweep_uploads)
    pass_time(PERIOD_S)
    perform(sweep_uploads.sweep_uploads)

    assert open_uploads() == []


def test_rounds_an_operator_made_more_frequent_lie_that_close():
    begin("old", "2 days")
    JobFamily.objects.create(name=SWEEP_UPLOADS.name, interval_s=5)

    perform(sweep_uploads.sweep_uploads)
    pass_time(5)
    perform(sweep_uploads.sweep_uploads)

    assert open_uploads() == []


def test_a_worker_whose_clock_is_ahead_aborts_nothing_alive():
    send_part(begin("alive", "1 hour"), "1 minute")

    with clock.use(FakeClock(clock.now() + timedelta(days=2))):
        two_rounds()

    assert open_uploads() == ["alive"]
