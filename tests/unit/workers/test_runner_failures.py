"""One job that fails: tried again, waiting, given up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from jobs.enqueue import enqueue
from jobs.step import GiveUp, NotYet, Step
from tests.support.units import Killed, Units, vanish
from tests.support.work import family, job, owe
from workers.context import Context
from workers.runner import run_job

pytestmark = pytest.mark.usefixtures("database")


def test_a_failed_attempt_backs_off_and_keeps_its_error():
    def failing(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
        yield Step(done=1)
        raise RuntimeError("no luck")

    with family("failing", failing, backoff_s=100.0, backoff_max_s=200.0) as made:
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
        raise NotYet("too few drives", after_s=300)

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
