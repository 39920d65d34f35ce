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
from tests.support.work import owe
from workers.registry import HANDLERS
from workers.tasks import TASKS, Due, lying, publish


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


def test_the_queues_tell_whose_messages_lie_in_them(redis_url: str):
    first, second, other = (
        Due(new_id(), USAGE.name),
        Due(new_id(), USAGE.name),
        Due(new_id(), SEAL.name),
    )
    publish([first, second, other])

    assert set(lying([USAGE.name, ENCODE.name])) == {first.job_id, second.job_id}
    assert lying([ENCODE.name]) == []


@pytest.mark.parametrize(
    "junk", ["", "{", "[]", '{"body": 1}', '{"body": "e30="}', '{"body": "W1sxXV0="}']
)
def test_what_is_no_message_of_ours_is_nobodys_job(redis_url: str, junk: str):
    one = Due(new_id(), USAGE.name)
    publish([one])
    prefix = app.conf.broker_transport_options.get("global_keyprefix", "")
    with Redis.from_url(redis_url) as redis:
        redis.lpush(prefix + USAGE.queue, junk)

    assert lying([USAGE.name]) == [one.job_id]


def test_what_a_job_counted_is_written_when_it_ends(database: str):
    labels = (USAGE.name, "done")
    before = metrics.jobs_done.value(labels)

    for number in (1, 2):
        TASKS[USAGE.name](str(owe(USAGE)))

        (own,) = (config().home / "run" / "metrics").glob(f"worker-{os.getpid()}-*.json")
        written = json.loads(own.read_bytes())[metrics.jobs_done.name]
        assert [[*labels], before + number] in written


def test_every_family_has_a_handler():
    assert set(HANDLERS) >= set(FAMILIES)
