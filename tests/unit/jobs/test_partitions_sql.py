"""Tables partitioned by day."""

from __future__ import annotations

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db


def ask(statement: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def test_partitions_are_made_once_for_today_and_the_days_ahead():
    assert ask("SELECT partition_ahead('change', 3)") == 4
    assert ask("SELECT partition_ahead('change', 3)") == 0


def test_rows_go_to_the_day_that_was_prepared():
    ask("SELECT partition_ahead('change', 0)")

    ask("INSERT INTO change (kind) VALUES ('x') RETURNING id")

    assert ask("SELECT count(*) FROM change_default") == 0
    assert ask("SELECT count(*) FROM change") == 1


def test_a_day_nobody_prepared_refuses_nothing():
    ask("INSERT INTO change (at, kind) VALUES (now() + interval '90 days', 'x') RETURNING id")

    assert ask("SELECT count(*) FROM change_default") == 1


def test_a_day_whose_rows_lie_in_the_default_partition_is_left_there():
    ask("INSERT INTO change (kind) VALUES ('x') RETURNING id")

    assert ask("SELECT partition_ahead('change', 2)") == 2


def test_days_long_past_are_dropped():
    ask(
        "INSERT INTO change (at, kind) VALUES (now() - interval '9 days', 'old'), (now(), 'new')"
        " RETURNING id"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE change_20010101 PARTITION OF change"
            " FOR VALUES FROM ('2001-01-01') TO ('2001-01-02')"
        )

    assert ask("SELECT partition_drop('change', 7)") == 1

    assert ask("SELECT string_agg(kind, ',') FROM change") == "new"
    assert ask("SELECT to_regclass('change_20010101')") is None


def test_only_empty_days_are_dropped_when_asked():
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE change_20010101 PARTITION OF change"
            " FOR VALUES FROM ('2001-01-01') TO ('2001-01-02')"
        )
        cursor.execute("INSERT INTO change (at, kind) VALUES ('2001-01-01 12:00+00', 'kept')")

    assert ask("SELECT partition_drop('change', 7, true)") == 0
    assert ask("SELECT count(*) FROM change") == 1
