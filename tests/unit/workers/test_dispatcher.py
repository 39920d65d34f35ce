"""Due rows reach Celery: each once, the most urgent first, whatever stops where."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection

from core import clock, failpoints
from core.errors import FailpointRaised
from core.names import new_id
from jobs import control, queries
from jobs.catalogue import LONGEST_WAIT_S, USAGE
from jobs.enqueue import enqueue
from jobs.lease import Lease
from tests.support.broker import Queue
from tests.support.work import age, family, job, owe
from workers.dispatcher import Dispatcher, run

pytestmark = pytest.mark.usefixtures("database")

DEADLINE_S = 60.0


@pytest.fixture
def queue() -> Queue:
    return Queue()


def test_a_due_job_is_published_once(queue: Queue):
    with family("sent") as sent:
        dispatcher, one = Dispatcher(queue, queue.lying), owe(sent)

        dispatcher.round()
        dispatcher.round()

        assert queue.arrived == [one]


def test_urgent_jobs_go_first(queue: Queue):
    with family("sent") as sent:
        later = owe(sent, "later", priority=5)
        sooner = owe(sent, "sooner", priority=-5)

        Dispatcher(queue, queue.lying).round()

        assert queue.arrived == [sooner, later]


def test_a_job_that_is_not_due_waits(queue: Queue):
    with family("sent") as sent:
        owe(sent, run_at=clock.now() + timedelta(seconds=LONGEST_WAIT_S - 10))

        Dispatcher(queue, queue.lying).round()

        assert queue.arrived == []


def test_jobs_of_a_paused_family_wait(queue: Queue):
    with family("sent") as sent:
        one = owe(sent)
        control.pause_family("sent")

        Dispatcher(queue, queue.lying).round()
        assert queue.arrived == []
        control.resume_family("sent")
        Dispatcher(queue, queue.lying).round()

        assert queue.arrived == [one]


def test_no_more_jobs_lie_in_the_queue_than_the_family_allows(queue: Queue):
    with family("sent", window=2) as sent:
        dispatcher = Dispatcher(queue, queue.lying)
        for number in range(5):
            owe(sent, str(number))

        dispatcher.round()
        assert len(queue.arrived) == 2
        Lease.claim(queue.arrived[0])
        dispatcher.round()

        assert len(queue.arrived) == 3


def test_a_job_redis_did_not_take_is_published_in_the_next_round(queue: Queue):
    with family("sent") as sent:
        one = owe(sent)
        queue.is_down = True
        with pytest.raises(ConnectionError):
            Dispatcher(queue, queue.lying).round()
        queue.is_down = False

        Dispatcher(queue, queue.lying).round()

        assert queue.arrived == [one]


def test_two_dispatchers_at_once_publish_each_job_once(queue: Queue):
    with family("sent") as sent:
        owed = [owe(sent, str(number)) for number in range(50)]
        together = threading.Barrier(2)

        def work() -> None:
            try:
                connection.ensure_connection()
                together.wait(60)
                Dispatcher(queue, queue.lying).round()
            finally:
                connection.close()

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        # What one of them skipped because the other held it was published by the other.
        assert sorted(queue.arrived) == sorted(owed)


@pytest.mark.parametrize("point", ["dispatcher.read", "dispatcher.taken", "dispatcher.published"])
@pytest.mark.usefixtures("disarmed")
def test_a_dispatcher_stopped_anywhere_loses_no_job(queue: Queue, point: str):
    with family("sent") as sent:
        owed = [owe(sent, str(number)) for number in range(3)]
        failpoints.arm(f"{point}=raise")
        with pytest.raises(FailpointRaised):
            Dispatcher(queue, queue.lying).round()
        failpoints.arm("")

        for one in owed:
            if job(one).sent_at is not None:
                age("sent_at", one, 61)
        Dispatcher(queue, queue.lying).round()

        assert set(queue.arrived) == set(owed)


def test_the_loop_publishes_what_is_owed_while_it_listens(queue: Queue):
    with family("sent") as sent:
        stop = threading.Event()
        loop = threading.Thread(target=run, args=(stop, Dispatcher(queue, queue.lying)))
        loop.start()
        try:
            one = owe(sent)
            assert queue.something.wait(DEADLINE_S)
        finally:
            stop.set()
            loop.join()

        assert queue.arrived == [one]


def test_the_loop_survives_a_broker_that_is_away(queue: Queue):
    with family("sent") as sent:
        queue.is_down = True
        stop = threading.Event()
        loop = threading.Thread(target=run, args=(stop, Dispatcher(queue, queue.lying)))
        one = owe(sent)
        loop.start()
        try:
            queue.is_down = False
            assert queue.something.wait(DEADLINE_S)
        finally:
            stop.set()
            loop.join()

        assert queue.arrived == [one]


def test_owing_work_tells_whoever_listens():
    connection.ensure_connection()
    with connection.cursor() as cursor:
        cursor.execute("LISTEN job")

    enqueue(USAGE, "x")

    told = list(connection.connection.notifies(timeout=DEADLINE_S, stop_after=1))
    assert [notice.channel for notice in told] == ["job"]


def test_taking_the_next_jobs_does_not_read_the_backlog():
    with family("sent", window=10) as sent:
        with connection.cursor() as cursor:
            cursor.execute(
                """
                INSERT INTO job (id, family, subject, key, state, priority, run_at, done, attempts,
                                 token, owed_again, cancel_requested, last_error, detail)
                SELECT gen_random_uuid(), %s, n::text, n::text, 'ready', 0, now(), 0, 0, 0, false,
                       false, '', '{}' FROM generate_series(1, 20000) n
                """,
                [sent.name],
            )
            cursor.execute("ANALYZE job")
            asked = {
                "families": [sent.name],
                "rooms": [sent.window],
                "lying": [new_id()],
                "after_s": 60,
                "wait_s": LONGEST_WAIT_S,
                "lease_s": 60,
                "scheduled": [USAGE.name],
            }
            for statement in (
                queries.TAKE,
                queries.RESEND,
                queries.PULL_BACK,
                queries.RETIRE_SLOTS,
            ):
                cursor.execute(f"EXPLAIN {statement}", asked)
                plan = "\n".join(line for (line,) in cursor.fetchall())

                assert "Seq Scan on job " not in plan
                assert "Seq Scan on job\n" not in plan
