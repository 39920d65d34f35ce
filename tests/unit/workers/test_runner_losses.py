"""One job whose worker is killed, is one of many, or loses its lease."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from core.errors import LeaseLost
from jobs.lease import Lease
from jobs.step import Step
from tests.support.units import EACH_STEP, NEVER, UNITS, Killed, Units, vanish
from tests.support.work import age, family, job, owe
from workers.context import Context
from workers.runner import run_job

pytestmark = pytest.mark.usefixtures("database")


@pytest.mark.parametrize("unit", range(UNITS))
def test_a_job_killed_between_two_steps_goes_on_from_the_last_saved_one(unit: int):
    handler = Units()
    with family("units", handler) as units:
        one = owe(units)
        handler.stop_after = unit
        with pytest.raises(Killed):
            run_job(one, EACH_STEP)
        handler.stop_after = None

        vanish(one)

        assert run_job(one, EACH_STEP) == "done"
        assert handler.starts == [None, unit or None]
        assert sorted(set(handler.effects)) == list(range(UNITS))


@pytest.mark.parametrize("unit", range(UNITS))
def test_a_job_killed_before_anything_was_saved_starts_over(unit: int):
    handler = Units()
    with family("units", handler) as units:
        one = owe(units)
        handler.stop_after = unit
        with pytest.raises(Killed):
            run_job(one, NEVER)
        handler.stop_after = None

        vanish(one)

        assert run_job(one, NEVER) == "done"
        assert handler.starts == [None, None]


def test_a_job_whose_worker_was_killed_is_nobody_elses_until_its_lease_ran_out():
    handler = Units()
    with family("units", handler) as units:
        one = owe(units)
        handler.stop_after = 0
        with pytest.raises(Killed):
            run_job(one)

        assert run_job(one) == "not due"


def test_of_many_workers_given_one_job_at_once_one_runs_it():
    handler = Units()
    with family("units", handler) as units:
        one = owe(units)
        together = threading.Barrier(4)
        ended: list[str] = []

        def work() -> None:
            try:
                connection.ensure_connection()
                together.wait(60)
                ended.append(run_job(one))
            finally:
                connection.close()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(ended) == ["done", "not due", "not due", "not due"]
        assert handler.effects == list(range(UNITS))


def test_a_worker_that_lost_its_lease_stops_and_changes_nothing():
    taken: list[Lease | None] = []

    def overtaken(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
        yield Step(done=1, cursor="mine")
        age("lease_until", context.job_id, 1)
        taken.append(Lease.claim(context.job_id))
        yield Step(done=2, cursor="stale")
        raise AssertionError("went on without a lease")

    with family("overtaken", overtaken) as made:
        one = owe(made)

        assert run_job(one, EACH_STEP) == "lost"

        (lease,) = taken
        assert lease is not None
        assert (job(one).token, job(one).cursor, job(one).state) == (lease.token, "mine", "leased")


def test_a_worker_that_lost_its_lease_cannot_finish_the_job():
    def overtaken(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
        yield Step(done=1)
        age("lease_until", context.job_id, 1)
        assert Lease.claim(context.job_id) is not None

    with family("overtaken", overtaken) as made:
        one = owe(made)

        assert run_job(one, NEVER) == "lost"
        assert job(one).state == "leased"


def test_a_handler_can_ask_whether_it_still_holds_the_job():
    def overtaken(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
        context.check()
        context._lease.valid_until = 0.0
        with pytest.raises(LeaseLost):
            context.check()
        yield Step(done=1)

    with family("overtaken", overtaken) as made:
        assert run_job(owe(made)) == "lost"
