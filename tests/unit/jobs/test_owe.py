"""Owing work: a row commits with what owes it, and joins the one that is there."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from core import clock
from jobs.enqueue import enqueue
from jobs.lease import Lease
from jobs.models import Job
from tests.support.work import age, family, job, owe

pytestmark = pytest.mark.django_db


def test_owed_work_vanishes_with_the_transaction_that_owed_it():
    with family("owed") as owed:
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            enqueue(owed, "a")
            raise ZeroDivisionError

        assert not Job.objects.filter(family="owed").exists()


def test_owing_the_same_subject_twice_keeps_one_row():
    with family("owed") as owed:
        enqueue(owed, "a")
        enqueue(owed, "a")
        enqueue(owed, "b")

        assert sorted(Job.objects.filter(family="owed").values_list("subject", flat=True)) == [
            "a",
            "b",
        ]


def test_owing_again_moves_the_row_forward_but_never_back():
    with family("owed") as owed:
        later = clock.now() + timedelta(hours=1)
        one = owe(owed, priority=5, run_at=later)

        enqueue(owed, "one", priority=2, run_at=later - timedelta(minutes=30))
        enqueue(owed, "one", priority=9, run_at=later + timedelta(hours=1))

        assert job(one).priority == 2
        assert job(one).run_at == later - timedelta(minutes=30)


def test_detail_of_later_owing_is_added():
    with family("owed") as owed:
        one = owe(owed, detail={"a": 1})

        enqueue(owed, "one", detail={"b": 2})

        assert job(one).detail == {"a": 1, "b": 2}


def test_owing_what_is_running_marks_it_to_run_once_more():
    with family("owed") as owed:
        one = owe(owed)
        lease = Lease.claim(one)
        assert lease is not None

        enqueue(owed, "one")
        lease.finish()

        again = job(one)
        assert (again.state, again.owed_again, again.attempts) == ("ready", False, 0)


def test_owing_what_has_begun_and_waits_makes_it_start_over_in_the_end():
    with family("owed") as owed:
        one = owe(owed)
        Job.objects.filter(pk=one).update(cursor="half way")

        enqueue(owed, "one")

        assert job(one).owed_again


def test_owing_does_not_shorten_a_back_off():
    with family("owed") as owed:
        one = owe(owed)
        due = clock.now() + timedelta(minutes=5)
        Job.objects.filter(pk=one).update(attempts=1, run_at=due)

        enqueue(owed, "one")

        assert job(one).run_at == due


def test_owing_revives_a_failed_job():
    with family("owed") as owed:
        one = owe(owed)
        Job.objects.filter(pk=one).update(state="failed", attempts=20, cursor="old")
        age("sent_at", one, 5)

        enqueue(owed, "one")

        revived = job(one)
        assert (revived.state, revived.attempts, revived.cursor, revived.sent_at) == (
            "ready",
            0,
            None,
            None,
        )
