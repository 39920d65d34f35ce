"""Operators pause, resume, cancel and retry jobs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core import clock
from jobs import control
from jobs.lease import Lease
from jobs.models import Job, JobDone, JobFamily
from tests.support.work import family, job, owe

pytestmark = pytest.mark.django_db


def test_a_paused_job_cannot_be_claimed_until_resumed():
    with family("steered") as steered:
        one = owe(steered)

        assert control.pause([one]) == 1
        assert Lease.claim(one) is None
        assert control.resume([one]) == 1
        assert Lease.claim(one) is not None


def test_cancelling_a_waiting_job_finishes_it_as_cancelled():
    with family("steered") as steered:
        one = owe(steered)

        assert control.cancel([one]) == 1

        assert not Job.objects.filter(pk=one).exists()
        assert JobDone.objects.get(pk=one).outcome == "cancelled"


def test_cancelling_a_running_job_asks_its_holder():
    with family("steered") as steered:
        one = owe(steered)
        lease = Lease.claim(one)
        assert lease is not None

        assert control.cancel([one]) == 1
        lease.renew()

        assert lease.cancelled


def test_retry_runs_a_failed_job_now():
    with family("steered") as steered:
        one = owe(steered)
        Job.objects.filter(pk=one).update(state="failed", attempts=20)

        assert control.retry([one]) == 1

        assert (job(one).state, job(one).attempts) == ("ready", 0)


def test_retry_ends_a_back_off():
    with family("steered") as steered:
        one = owe(steered, run_at=clock.now() + timedelta(hours=1))

        control.retry([one])

        assert Lease.claim(one) is not None


def test_retry_owes_a_cancelled_job_anew():
    with family("steered") as steered:
        one = owe(steered)
        control.cancel([one])

        assert control.retry([one]) == 1

        assert Job.objects.get(family="steered").subject == "one"


def test_a_paused_family_hands_out_no_job():
    with family("steered") as steered:
        one = owe(steered)

        control.pause_family("steered")
        assert Lease.claim(one) is None
        control.resume_family("steered")
        assert Lease.claim(one) is not None


def test_settings_of_a_family_override_the_catalogue():
    with family("steered", steps_per_s=1.0) as steered:
        control.set_family("steered", interval_s=None, steps_per_s=7.5)

        lease = Lease.claim(owe(steered))

        assert lease is not None
        assert lease.steps_per_s == 7.5
        assert JobFamily.objects.get(pk="steered").interval_s is None
