"""The embedded servers: adopted when they survive, stopped for good, never doubled."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from objstore_site.local.postgres import EmbeddedPostgres, create_database, is_alive
from objstore_site.local.redis import EmbeddedRedis
from objstore_site.local.waiting import wait_until

LONG_ENOUGH_S = 120


@pytest.fixture
def place() -> Iterator[Path]:
    # Short, because a socket's path must be.
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as directory:
        Path(directory).chmod(0o711)
        yield Path(directory)


def _postgres(place: Path) -> EmbeddedPostgres:
    settings = {"shared_buffers": "16MB"}
    return EmbeddedPostgres(
        place / "data", place / "sock", log=place / "postgres.log", settings=settings
    )


def test_data_survive_a_killed_postmaster(place: Path) -> None:
    server = _postgres(place)
    server.start()
    create_database(server.url("postgres"), "objstore")
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("create table kept as select 1 as one")

    os.kill(server.process.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(server.process), what="its end", timeout_s=LONG_ENOUGH_S)
    again = _postgres(place)
    again.start()

    with psycopg.connect(again.url()) as connection:
        assert connection.execute("select one from kept").fetchone() == (1,)
    again.stop()


def test_a_surviving_postmaster_is_adopted(place: Path) -> None:
    first = _postgres(place)
    first.start()

    second = _postgres(place)
    second.start()

    assert second.process.pid == first.process.pid
    second.stop()
    assert first.process.wait(LONG_ENOUGH_S) == 0


def test_a_directory_somebody_broke_is_one_error_not_a_wait(place: Path) -> None:
    server = _postgres(place)
    server.start()
    server.stop()
    (place / "data" / "PG_VERSION").write_text("9.1\n")

    with pytest.raises(RuntimeError, match="ended with exit code"):
        _postgres(place).start()


def test_a_surviving_redis_is_adopted(place: Path) -> None:
    first = EmbeddedRedis(place / "redis")
    first.start()

    second = EmbeddedRedis(place / "redis")
    second.start()

    assert second.process.pid == first.process.pid
    with redis.Redis.from_url(second.url()) as client:
        assert client.ping()
    second.stop()
    assert first.process.wait(LONG_ENOUGH_S) == 0
