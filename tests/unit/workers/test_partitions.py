"""The family that keeps partitions ahead."""

from __future__ import annotations

import pytest

from jobs import statements
from jobs.catalogue import PARTITIONS
from tests.support.work import owe
from workers.partitions import BY_DAY, DAYS_AHEAD
from workers.runner import run_job

pytestmark = pytest.mark.usefixtures("database")


@pytest.mark.parametrize("table", BY_DAY)
def test_the_coming_days_are_prepared(table: str):
    assert run_job(owe(PARTITIONS, "test")) == "done"

    (number,) = statements.rows(
        "SELECT count(*) FROM pg_inherits WHERE inhparent = %(table)s::regclass", table=table
    )[0]
    # The DEFAULT partition, today (unless its rows lay there already) and the days ahead.
    assert number in (1 + DAYS_AHEAD, 2 + DAYS_AHEAD)


def test_preparing_twice_changes_nothing():
    run_job(owe(PARTITIONS, "a"))

    assert run_job(owe(PARTITIONS, "b")) == "done"
