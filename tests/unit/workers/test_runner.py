"""One job, run: to its end, paused, cancelled, in turns, once more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from jobs import control
from jobs.enqueue import enqueue
from jobs.models import Job, JobDone
from jobs.step import Step
from tests.support.units import EACH_STEP, UNITS, Units
from tests.support.work import family, job, owe
from workers import stopping
from workers.context import Context
from workers.runner import Pace, run_job

pytestmark = pytest.mark.usefixtures("database")


def test_a_job_runs_to_its_end_and_is_kept_among_the_finished():
    with family("units", Units()) as units:
        one = owe(units)

        assert run_job(one) == "done"

        assert not Job.objects.filter(pk=one).exists()
        finished = JobDone.objects.get(pk=one)
        assert (finished.outcome, finished.done, finished.total) == ("done", UNITS, UNITS)


def test_running_a_finished_job_again_does_nothing():
    handler = Units()
    with family("units", handler) as units:
        one = owe(units)
        run_job(one)

        assert run_job(one) == "not due"
        assert handler.effects == list(range(UNITS))


def test_a_paused_job_stops_between_two_steps_and_goes_on_from_there():
    handler = Units(after_two=lambda context: control.pause([context.job_id]))
    with family("pausing", handler) as made:
        one = owe(made)

        assert run_job(one, EACH_STEP) == "paused"
        assert (job(one).state, job(one).cursor) == ("paused", 2)
        assert run_job(one, EACH_STEP) == "not due"
        control.resume([one])
        assert run_job(one, EACH_STEP) == "done"
        assert handler.effects == list(range(UNITS))


def test_pausing_the_family_puts_the_job_back_where_it_was():
    handler = Units(after_two=lambda context: control.pause_family("pausing"))
    with family("pausing", handler) as made:
        one = owe(made)

        assert run_job(one, EACH_STEP) == "paused"
        assert (job(one).state, job(one).cursor, job(one).attempts) == ("ready", 2, 0)


def test_a_cancelled_job_stops_between_two_steps_and_is_finished():
    handler = Units(after_two=lambda context: control.cancel([context.job_id]))
    with family("cancelling", handler) as made:
        one = owe(made)

        assert run_job(one, EACH_STEP) == "cancelled"
        assert JobDone.objects.get(pk=one).outcome == "cancelled"
        assert handler.effects == [0, 1]


def test_work_owed_while_it_ran_runs_once_more_from_the_start():
    starts: list[Any] = []

    def owing(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
        starts.append(cursor)
        yield Step(done=1, cursor="end")
        if len(starts) == 1:
            enqueue(context.family, subject)

    with family("owing", owing) as made:
        one = owe(made)

        assert run_job(one) == "done"
        assert (job(one).state, job(one).cursor) == ("ready", None)
        assert run_job(one) == "done"
        assert not Job.objects.filter(pk=one).exists()
        assert starts == [None, None]


def test_a_long_job_gives_others_a_turn():
    handler = Units()
    with family("units", handler) as units:
        one = owe(units)

        assert run_job(one, Pace(save_every_s=1e9, slice_s=0.0)) == "to be continued"

        assert (job(one).state, job(one).cursor, job(one).attempts) == ("ready", 1, 0)


def test_work_that_would_start_over_is_not_cut_short():
    def whole(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
        yield Step(done=1, total=2)
        yield Step(done=2, total=2)

    with family("whole", whole) as made:
        assert run_job(owe(made), Pace(save_every_s=1e9, slice_s=0.0)) == "done"


def test_work_that_would_start_over_is_cut_short_when_the_worker_is_to_end():
    def whole(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
        yield Step(done=1, total=2)
        raise AssertionError("went on")

    with family("whole", whole) as made:
        stopping.request()
        try:
            assert run_job(owe(made)) == "to be continued"
        finally:
            stopping.withdraw()


def test_a_handler_is_closed_before_its_job_is_let_go():
    closed_while: list[str] = []

    def holding(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
        try:
            yield Step(done=1, cursor=1)
            yield Step(done=2, cursor=2)
        finally:
            closed_while.append(job(context.job_id).state)

    with family("holding", holding) as made:
        run_job(owe(made), Pace(save_every_s=1e9, slice_s=0.0))

        assert closed_while == ["leased"]


def test_a_job_stops_after_its_step_when_the_worker_is_to_end():
    handler = Units()
    with family("units", handler) as units:
        one = owe(units)
        stopping.request()
        try:
            assert run_job(one) == "to be continued"
        finally:
            stopping.withdraw()

        assert (job(one).state, job(one).cursor, job(one).sent_at) == ("ready", 1, None)
