"""Usage: deltas of commits become one row per bucket, each counted once."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from buckets import control
from core.names import new_id
from jobs import statements
from jobs.catalogue import USAGE
from tenants import accounts
from tests.support.work import job, owe
from workers.runner import Pace, run_job
from workers.usage import FOLD

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def bucket():
    tenant = accounts.create_tenant("usage").tenant
    return control.create(tenant.id, "usage-bucket", region="us-east-1").id


def delta(bucket_id: object, size: int, number: int = 1) -> None:
    statements.changed(
        "INSERT INTO usage_delta (bucket_id, bytes, objects, versions)"
        " SELECT %(bucket)s, %(size)s, 1, 1 FROM generate_series(1, %(number)s)",
        bucket=bucket_id,
        size=size,
        number=number,
    )


def usage_of(bucket_id: object) -> list[tuple[int, int, int]]:
    return statements.rows(
        "SELECT bytes, objects, versions FROM usage WHERE bucket_id = %(bucket)s", bucket=bucket_id
    )


def test_deltas_are_folded_into_the_buckets_usage(bucket):
    delta(bucket, 10, number=3)
    delta(bucket, -4)

    assert run_job(owe(USAGE, "test")) == "done"

    assert usage_of(bucket) == [(26, 4, 4)]
    assert statements.rows("SELECT count(*) FROM usage_delta") == [(0,)]


def test_a_long_backlog_is_folded_in_turns(bucket):
    delta(bucket, 10, number=3)
    one = owe(USAGE, "test")
    short = Pace(save_every_s=1e9, slice_s=0.0)

    assert run_job(one, short) == "to be continued"
    assert (job(one).done, job(one).cursor) == (3, 3)
    delta(bucket, 10)
    assert run_job(one) == "done"

    assert usage_of(bucket) == [(40, 4, 4)]


def test_folding_twice_counts_once(bucket):
    delta(bucket, 10)

    run_job(owe(USAGE, "a"))
    run_job(owe(USAGE, "b"))

    assert usage_of(bucket) == [(10, 1, 1)]


def test_later_deltas_are_added(bucket):
    delta(bucket, 10)
    run_job(owe(USAGE, "a"))
    delta(bucket, 5)
    run_job(owe(USAGE, "b"))

    assert usage_of(bucket) == [(15, 2, 2)]


def test_deltas_of_a_bucket_that_is_gone_vanish():
    delta(new_id(), 10)

    assert run_job(owe(USAGE, "test")) == "done"

    assert statements.rows("SELECT count(*) FROM usage_delta") == [(0,)]


def test_folds_at_once_count_each_delta_once(bucket):
    delta(bucket, 1, number=1000)
    together = threading.Barrier(3)

    def fold() -> None:
        try:
            connection.ensure_connection()
            together.wait(60)
            while statements.rows(FOLD, batch=50)[0][0]:
                pass
        finally:
            connection.close()

    threads = [threading.Thread(target=fold) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A fold that found only locked rows ended early; its rows were another's.
    while statements.rows(FOLD, batch=50)[0][0]:
        pass

    assert usage_of(bucket) == [(1000, 1000, 1000)]
