"""When a worker is taken to be deaf."""

from __future__ import annotations

import pytest

from jobs.catalogue import USAGE
from tests.support.work import age, owe
from workers.watchdog import DEAF_AFTER_S, Watch, oldest_waiting_s

LONG = DEAF_AFTER_S + 1


def test_an_idle_worker_whose_queues_hold_old_jobs_is_deaf():
    assert Watch(0.0).is_deaf(now=LONG, busy=False, oldest_s=LONG)


def test_an_idle_worker_without_work_is_not_deaf():
    assert not Watch(0.0).is_deaf(now=LONG, busy=False, oldest_s=None)


def test_a_worker_that_was_busy_until_just_now_is_not_deaf():
    watch = Watch(0.0)
    watch.is_deaf(now=LONG, busy=True, oldest_s=LONG)

    assert not watch.is_deaf(now=LONG + 1, busy=False, oldest_s=LONG)


def test_a_worker_given_young_jobs_is_not_deaf():
    assert not Watch(0.0).is_deaf(now=LONG, busy=False, oldest_s=1.0)


@pytest.mark.django_db
def test_only_published_jobs_count_as_waiting():
    one = owe(USAGE, "x")
    age("run_at", one, 100)
    assert oldest_waiting_s(["usage"]) is None

    age("sent_at", one, 50)

    assert oldest_waiting_s(["usage"]) == pytest.approx(100, abs=60)
    assert oldest_waiting_s(["encode"]) is None
