"""Job ids travel through Celery's queues in Redis."""

from __future__ import annotations

import json
import os

import pytest
from redis import Redis

from core import metrics
from core.config import config
from core.names import new_id
from jobs.catalogue import ENCODE, FAMILIES, SEAL, USAGE
from objstore_site.celery import app
from workers import tasks
from workers.registry import HANDLERS
from workers.tasks import TASKS, Due, messages, publish


def test_every_family_has_a_task_and_a_queue_of_its_own():
    assert set(TASKS) == set(FAMILIES)
    assert {queue.name for queue in app.conf.task_queues} == {f.queue for f in FAMILIES.values()}
    assert all(family.task in app.tasks for family in FAMILIES.values())


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("task_acks_late", True),
        ("task_reject_on_worker_lost", True),
        ("worker_prefetch_multiplier", 1),
        ("task_serializer", "json"),
        ("task_ignore_result", True),
    ],
)
def test_a_lost_worker_loses_no_message(setting: str, value: object):
    assert app.conf[setting] == value


def test_a_task_ends_before_its_message_is_delivered_again():
    visible_again_s = app.conf.broker_transport_options["visibility_timeout"]

    assert app.conf.task_time_limit < visible_again_s


def test_a_published_job_lies_in_its_familys_queue(redis_url: str):
    one = new_id()

    publish([Due(one, USAGE.name)])

    prefix = app.conf.broker_transport_options.get("global_keyprefix", "")
    with Redis.from_url(redis_url) as redis:
        (message,) = redis.lrange(prefix + USAGE.queue, 0, -1)
    assert json.loads(message)["headers"]["task"] == USAGE.task
    assert str(one) in json.loads(message)["headers"]["argsrepr"]


def test_messages_are_counted_queue_by_queue(redis_url: str):
    publish([Due(new_id(), USAGE.name), Due(new_id(), USAGE.name), Due(new_id(), SEAL.name)])

    assert messages([USAGE.name, ENCODE.name, SEAL.name]) == [2, 0, 1]


def test_what_a_job_counted_is_written_when_it_ends(monkeypatch: pytest.MonkeyPatch):
    labels = (USAGE.name, "done")
    monkeypatch.setattr(tasks, "run_job", lambda _: metrics.jobs_done.add(labels))
    monkeypatch.setattr(tasks, "close_old_connections", lambda: None)

    for _ in range(2):
        TASKS[USAGE.name](str(new_id()))

        (own,) = (config().home / "run" / "metrics").glob(f"worker-{os.getpid()}-*.json")
        written = json.loads(own.read_bytes())[metrics.jobs_done.name]
        assert [[*labels], metrics.jobs_done.value(labels)] in written


def test_every_family_has_a_handler():
    assert set(HANDLERS) >= set(FAMILIES)
