"""The plumbing every other test stands on."""

from __future__ import annotations

import psycopg
import pytest
import redis
from django.contrib.auth.models import User
from django.db import connection

from core.config import config


def test_a_fresh_database_is_migrated_and_django_points_at_it(database: str) -> None:
    User.objects.create_user("someone")

    with psycopg.connect(database) as direct:
        found = direct.execute("select username from auth_user").fetchall()

    assert found == [("someone",)]
    assert config().database.url == database


def test_the_next_fresh_database_knows_nothing_of_the_last(database: str) -> None:
    assert not User.objects.exists()


@pytest.mark.django_db
def test_a_marked_test_uses_the_workers_own_database() -> None:
    User.objects.create_user("rolled-back")

    assert connection.settings_dict["NAME"] in config().database.url


def test_the_databases_of_a_run_are_durable_ones(database: str) -> None:
    with psycopg.connect(database) as direct:
        settings = direct.execute(
            "select current_setting('fsync'), current_setting('full_page_writes'),"
            " current_setting('synchronous_commit')"
        ).fetchone()

    assert settings == ("on", "on", "on")


def test_redis_is_real_and_empty(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("a", "b")
        assert client.get("a") == b"b"


def test_home_and_keys_are_the_runs_own() -> None:
    assert "objstore-test-" in str(config().home)
    assert config().crypto.master_key_file.is_file()
