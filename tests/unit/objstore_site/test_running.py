"""Commands find the running store of their home."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from core import config as configuration
from objstore_site.addresses import celery_broker, django_database
from objstore_site.running import Servers, reach_running_store, read_servers, write_servers

LEFT = Servers(database_url="postgresql://a@/b?host=/c", redis_url="unix:///d?db=3")


def test_what_a_runner_left_is_found(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()

    write_servers(tmp_path, LEFT)

    assert read_servers(tmp_path) == LEFT


def test_an_address_that_was_given_wins(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    write_servers(tmp_path, LEFT)
    current = configuration.config()
    given = replace(
        current,
        home=tmp_path,
        database=replace(current.database, url="postgresql://given"),
        redis=replace(current.redis, url=""),
    )

    with configuration.override(given):
        reach_running_store()
        reached = configuration.config()

    assert reached.database.url == "postgresql://given"
    assert reached.redis.url == LEFT.redis_url


def test_django_reads_a_unix_socket_url() -> None:
    database = replace(configuration.config().database, url=LEFT.database_url)

    entry = django_database(database)

    assert (entry["USER"], entry["NAME"], entry["HOST"]) == ("a", "b", "/c")


def test_celery_reads_a_unix_socket_url() -> None:
    redis = replace(configuration.config().redis, url=LEFT.redis_url)

    assert celery_broker(redis) == "redis+socket:///d?virtual_host=3"
