"""One job, run: to its end, killed between steps, twice, twice at once, paused, failing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from core.errors import LeaseLost
from jobs import control
from jobs.enqueue import enqueue
from jobs.lease import Lease
from jobs.models import Job, JobDone
from jobs.step import GiveUp, NotYet, Step
from tests.support.work import age, family, job, owe
from workers import stopping
from workers.context import Context
from workers.dispatcher import Dispatcher
from workers.runner import Pace, run_job

pytestmark = pytest.mark.usefixtures("database")

# Save and look between any two steps.
EACH_STEP = Pace(save_every_s=0.0, look_every_s=0.0)
NEVER = Pace(save_every_s=1e9, look_every_s=1e9)
UNITS = 4


class Killed(BaseException):
    """What SIGKILL looks like from inside: nothing of ours catches it."""


class Units:
    """A handler that does four units, each idempotent, and can be stopped after any of them."""

    def __init__(self) -> None:
        self.effects: list[int] = []
        self.stop_after: int | None = None
        self.starts: list[Any] = []

    def __call__(self, subject: str, cursor: Any, context: Context) -> Iterator[Step]:
        self.starts.append(cursor)
        for unit in range(cursor or 0, UNITS):
            self.effects.append(unit)
            if unit == self.stop_after:
                raise Killed
            yield Step(done=unit + 1, total=UNITS, cursor=unit + 1)


def vanish(job_id: Any) -> None:
    """The worker is gone and its lease runs out; the sweep notices."""
    age("lease_until", job_id, 1)
    Dispatcher(send=lambda batch: None).sweep()


def test_a_job_runs_to_its_end_and_is_kept_among_the_finished():
    with family("units", Units()) as units:
        one = owe(units)

        assert run_job(one) == "done"

        assert not Job.objects.filter(pk=one).exists()
        finished = JobDone.objects.get(pk=one)
        assert (finished.outcome, finished.done, finished.total) == ("done", UNITS, UNITS)


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


def test_running_a_finished_job_again_does_nothing():
    handler = Units()
    with family("units", handler) as units:
        one = owe(units)
        run_job(one)

        assert run_job(one) == "not due"
        assert handler.effects == list(range(UNITS))


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


def test_a_paused_job_stops_between_two_steps_and_goes_on_from_there():
    handler = Units()

    def pausing(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
        for step in handler(subject, cursor, context):
            if step.done == 2:
                control.pause([context.job_id])
            yield step

    with family("pausing", pausing) as made:
        one = owe(made)

        assert run_job(one, EACH_STEP) == "paused"
        assert (job(one).state, job(one).cursor) == ("paused", 2)
        assert run_job(one, EACH_STEP) == "not due"
        control.resume([one])
        assert run_job(one, EACH_STEP) == "done"
        assert handler.effects == list(range(UNITS))


def test_pausing_the_family_puts_the_job_back_where_it_was():
    handler = Units()

    def pausing(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
        for step in handler(subject, cursor, context):
            if step.done == 2:
                control.pause_family("pausing")
            yield step

    with family("pausing", pausing) as made:
        one = owe(made)

        assert run_job(one, EACH_STEP) == "paused"
        assert (job(one).state, job(one).cursor, job(one).attempts) == ("ready", 2, 0)


def test_a_cancelled_job_stops_between_two_steps_and_is_finished():
    handler = Units()

    def cancelling(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
        for step in handler(subject, cursor, context):
            if step.done == 2:
                control.cancel([context.job_id])
            yield step

    with family("cancelling", cancelling) as made:
        one = owe(made)

        assert run_job(one, EACH_STEP) == "cancelled"
        assert JobDone.objects.get(pk=one).outcome == "cancelled"
        assert handler.effects == [0, 1]


def test_a_failed_attempt_backs_off_and_keeps_its_error():
    def failing(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
        yield Step(done=1)
        raise RuntimeError("no luck")

    with family("failing", failing, backoff_s=100.0, backoff_max_s=1000.0) as made:
        one = owe(made)

        assert run_job(one) == "failed"

        failed = job(one)
        assert (failed.state, failed.attempts) == ("ready", 1)
        assert failed.last_error == "RuntimeError: no luck"
        assert (failed.run_at - failed.changed).total_seconds() == pytest.approx(100, abs=1)
        assert run_job(one) == "not due"


def test_a_handlers_broken_statement_is_a_failed_attempt():
    def failing(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
        with connection.cursor() as statement:
            statement.execute("SELECT 1/0")
        yield Step(done=1)

    with family("failing", failing) as made:
        one = owe(made)

        assert run_job(one) == "failed"
        assert "division by zero" in job(one).last_error


def test_after_its_last_attempt_a_job_stays_to_be_seen_and_owing_it_revives_it():
    def failing(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
        yield Step(done=1)
        raise RuntimeError("no luck")

    with family("failing", failing, attempts=2, backoff_s=0.0) as made:
        one = owe(made)
        run_job(one)
        run_job(one)
        assert job(one).state == "failed"
        assert run_job(one) == "not due"

        enqueue(made, "one")

        assert (job(one).state, job(one).attempts) == ("ready", 0)


def test_progress_makes_earlier_failures_forgotten():
    def slow(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
        yield Step(done=(cursor or 0) + 1, cursor=(cursor or 0) + 1)
        raise RuntimeError("one step at a time")

    with family("slow", slow, attempts=2, backoff_s=0.0) as made:
        one = owe(made)

        for _ in range(5):
            assert run_job(one) == "failed"

        assert (job(one).state, job(one).cursor, job(one).attempts) == ("ready", 5, 1)


def test_a_job_that_keeps_killing_its_worker_fails_in_the_end():
    handler = Units()
    handler.stop_after = 0
    with family("units", handler, attempts=2) as units:
        one = owe(units)
        for _ in range(2):
            with pytest.raises(Killed):
                run_job(one)
            vanish(one)

        assert (job(one).state, job(one).last_error) == ("failed", "the worker vanished")


def test_waiting_for_something_costs_no_attempt():
    def waiting(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
        yield Step(done=1, cursor="kept")
        raise NotYet("too few drives", after_s=3600)

    with family("waiting", waiting) as made:
        one = owe(made)

        assert run_job(one) == "not yet"

        waits = job(one)
        assert (waits.state, waits.attempts, waits.last_error) == ("ready", 0, "too few drives")
        assert waits.cursor == "kept"
        assert run_job(one) == "not due"


def test_giving_up_fails_at_once():
    def hopeless(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
        yield Step(done=1)
        raise GiveUp("it is gone")

    with family("hopeless", hopeless) as made:
        one = owe(made)

        assert run_job(one) == "gave up"
        assert (job(one).state, job(one).last_error) == ("failed", "it is gone")


def test_a_family_nobody_handles_is_said_on_the_row():
    with family("orphan") as made:
        one = owe(made)

        assert run_job(one) == "gave up"
        assert job(one).last_error == "nothing here handles orphan"


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


def test_a_handler_is_closed_before_its_job_is_let_go():
    closed_while: list[str] = []

    def holding(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
        try:
            yield Step(done=1)
            yield Step(done=2)
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
