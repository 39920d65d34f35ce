"""The dispatcher's sweep: lost messages, vanished workers, failed slots, clocks put back."""

from __future__ import annotations

import pytest

from core import clock
from jobs.catalogue import FAMILIES
from jobs.lease import Lease
from jobs.models import Job, JobDone, JobFamily
from tests.support.broker import Queue
from tests.support.work import age, family, job, owe
from workers.beat import queue_due
from workers.dispatcher import Dispatcher

pytestmark = pytest.mark.usefixtures("database")

# Long enough that no test ever sees its end.
EVERY_S = 10**9


@pytest.fixture
def queue() -> Queue:
    return Queue()


def test_what_an_emptied_redis_lost_is_published_again(queue: Queue):
    with family("sent") as sent:
        one = owe(sent)
        Dispatcher(queue, queue.lying).round()
        queue.arrived.clear()

        Dispatcher(queue, queue.lying).round()
        assert queue.arrived == []
        age("sent_at", one, 61)
        Dispatcher(queue, queue.lying).round()

        assert queue.arrived == [one]


def test_a_backlog_that_waits_its_turn_is_not_published_again(queue: Queue):
    with family("sent", window=2) as sent:
        for number in range(5):
            owe(sent, str(number))
        Dispatcher(queue, queue.lying).round()
        waiting = list(queue.arrived)
        for one in waiting:
            age("sent_at", one, 3600)

        Dispatcher(queue, queue.lying).round()

        assert queue.arrived == waiting


def test_what_got_lost_of_a_backlog_is_published_again_alone(queue: Queue):
    with family("sent") as sent:
        for number in range(3):
            owe(sent, str(number))
        Dispatcher(queue, queue.lying).round()
        *kept, lost = queue.arrived
        queue.arrived.remove(lost)
        age("sent_at", lost, 61)
        for one in kept:
            age("sent_at", one, 3600)

        Dispatcher(queue, queue.lying).round()

        assert queue.arrived == [*kept, lost]


def test_a_job_that_has_begun_is_not_published_again(queue: Queue):
    with family("sent") as sent:
        one = owe(sent)
        Dispatcher(queue, queue.lying).round()
        Lease.claim(one)
        age("sent_at", one, 61)
        queue.arrived.clear()

        Dispatcher(queue, queue.lying).round()

        assert queue.arrived == []


def test_a_job_whose_worker_vanished_is_published_again(queue: Queue):
    with family("sent") as sent:
        one = owe(sent)
        Dispatcher(queue, queue.lying).round()
        Lease.claim(one)
        age("lease_until", one, 1)
        queue.arrived.clear()
        dispatcher = Dispatcher(queue, queue.lying)

        dispatcher.sweep()
        dispatcher.round()

        assert queue.arrived == [one]


def test_a_scheduled_job_that_failed_for_good_makes_way_for_the_next_slot(queue: Queue):
    with family("sent", attempts=1, every_s=EVERY_S):
        queue_due()
        one = Job.objects.get(family="sent").id
        Lease.claim(one)
        age("lease_until", one, 1)

        Dispatcher(queue, queue.lying).sweep()

        assert JobDone.objects.get(pk=one).outcome == "failed"


def test_a_scheduled_job_that_gave_up_makes_way_for_the_next_slot(queue: Queue):
    with family("sent", every_s=EVERY_S):
        queue_due()
        lease = Lease.claim(Job.objects.get(family="sent").id)
        assert lease is not None
        lease.give_up("it is gone")

        Dispatcher(queue, queue.lying).sweep()
        JobFamily.objects.filter(name="sent").update(last_slot=None)

        assert "sent" in queue_due()


def test_a_failed_slot_that_a_killed_process_left_does_not_end_the_schedule(queue: Queue):
    with family("sent", every_s=EVERY_S):
        queue_due()
        Job.objects.filter(family="sent").update(state="failed", last_error="the worker vanished")

        Dispatcher(queue, queue.lying).sweep()
        JobFamily.objects.filter(name="sent").update(last_slot=None)

        assert "sent" in queue_due()


def test_a_failed_job_nobody_scheduled_stays_to_be_seen(queue: Queue):
    with family("sent", every_s=EVERY_S) as sent:
        one = owe(sent)
        Job.objects.filter(pk=one).update(state="failed")

        Dispatcher(queue, queue.lying).sweep()

        assert job(one).state == "failed"


# What a clock that was a day ahead has written lies a day ahead once it is put back.
A_DAY = -86400.0


def test_what_was_owed_before_the_clock_was_put_back_is_published(queue: Queue):
    with family("sent") as sent:
        one = owe(sent)
        age("run_at", one, A_DAY)
        dispatcher = Dispatcher(queue, queue.lying)

        dispatcher.sweep()
        dispatcher.round()

        assert queue.arrived == [one]


def test_what_was_lost_before_the_clock_was_put_back_is_published_again(queue: Queue):
    with family("sent") as sent:
        one = owe(sent)
        age("run_at", one, A_DAY)
        age("sent_at", one, A_DAY)

        Dispatcher(queue, queue.lying).sweep()

        aged_s = (clock.now() - (job(one).sent_at or clock.now())).total_seconds()
        assert abs(aged_s) < 60
        age("sent_at", one, 61)
        Dispatcher(queue, queue.lying).sweep()
        assert queue.arrived == [one]


def test_a_lease_from_before_the_clock_was_put_back_is_held_no_longer_than_any(queue: Queue):
    with family("sent") as sent:
        one = owe(sent)
        lease = Lease.claim(one)
        assert lease is not None
        age("lease_until", one, A_DAY)

        Dispatcher(queue, queue.lying).sweep()

        lease_until = job(one).lease_until
        assert lease_until is not None
        left_s = (lease_until - clock.now()).total_seconds()
        assert sent.lease_s - 1 < left_s < max(each.lease_s for each in FAMILIES.values()) + 1
        lease.renew()
        lease.check()
