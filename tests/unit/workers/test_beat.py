"""The schedule: one job per family and slot, however many beats there are."""

from __future__ import annotations

import pytest
from django.db import connection

from jobs.models import Job, JobFamily
from tests.support.work import family
from workers.beat import queue_due
from workers.runner import run_job

pytestmark = pytest.mark.django_db

# Long enough that no test ever sees its end (but a test at the turn of a slot sees two of them).
EVERY_S = 10**9


def slots() -> list[str]:
    return list(Job.objects.filter(family="timed").values_list("key", flat=True))


def test_a_slot_is_queued_once_however_many_beats_ask():
    with family("timed", every_s=EVERY_S):
        assert "timed" in queue_due()
        assert "timed" not in queue_due()

        (key,) = slots()
        assert key.startswith("slot:")


def test_a_slot_that_was_worked_off_is_not_queued_again():
    with family("timed", lambda subject, cursor, context: iter(()), every_s=EVERY_S):
        queue_due()
        (one,) = Job.objects.filter(family="timed")
        assert run_job(one.id) == "done"

        assert "timed" not in queue_due()


def test_the_next_slot_is_queued_when_the_last_is_finished():
    with family("timed", every_s=EVERY_S):
        queue_due()
        Job.objects.filter(family="timed").delete()
        earlier_slot()

        assert "timed" in queue_due()


def test_work_does_not_pile_up_behind_an_unfinished_slot():
    with family("timed", every_s=EVERY_S):
        queue_due()
        earlier_slot()
        Job.objects.filter(family="timed").update(key="slot:earlier")

        assert "timed" not in queue_due()

        assert slots() == ["slot:earlier"]


def test_a_clock_that_was_put_back_does_not_hold_up_the_schedule():
    with family("timed", lambda subject, cursor, context: iter(()), every_s=EVERY_S):
        queue_due()
        work_off()
        last_slot_lies("1 day")

        assert "timed" in queue_due()
        work_off()
        assert "timed" not in queue_due()


def test_a_beat_that_was_held_up_queues_no_slot_from_before_the_last():
    with family("timed", lambda subject, cursor, context: iter(()), every_s=EVERY_S):
        queue_due()
        work_off()
        last_slot_lies("-1 second")

        assert "timed" not in queue_due()


def test_a_family_without_an_interval_is_not_scheduled():
    with family("timed"):
        assert "timed" not in queue_due()


def test_an_operators_interval_overrides_the_catalogue():
    with family("timed", every_s=EVERY_S):
        JobFamily.objects.create(name="timed", interval_s=2 * EVERY_S)

        queue_due()

        row = JobFamily.objects.get(pk="timed")
        assert row.last_slot is not None
        assert row.last_slot.timestamp() % (2 * EVERY_S) == 0


def earlier_slot() -> None:
    """As if the last slot queued had been the one before."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE job_family SET last_slot = last_slot - interval '1 day' WHERE name = 'timed'"
        )


def last_slot_lies(ahead: str) -> None:
    """As if the last slot queued lay so far ahead of the database's present."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE job_family SET last_slot = now() + %s::interval WHERE name = 'timed'", [ahead]
        )


def work_off() -> None:
    (one,) = Job.objects.filter(family="timed")
    assert run_job(one.id) == "done"
