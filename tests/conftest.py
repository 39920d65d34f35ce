"""What every test gets: one PostgreSQL and one Redis for the whole run, a database and a home per
worker.

Here: starting and stopping them, and the fixtures `database`, `redis_url`, `process_environment`.
The how is in `tests/support/session.py`.

Promise: tests never see the machine's own store, database or broker. The master key is made once
per run and every database of the run uses it, so sealed rows and the key cannot disagree.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from django.conf import settings

from tests.support import session

# Folders whose files take minutes, not seconds.
_LONG = frozenset(Path(__file__).parent / name for name in ("cluster", "clients", "model", "s3"))

hypothesis.settings.register_profile(
    "house", derandomize=True, deadline=None, print_blob=True, database=None
)
hypothesis.settings.load_profile("house")


def pytest_configure(config: pytest.Config) -> None:
    """Point this process at the run's servers before Django or the store read their
    configuration.
    """
    if settings.configured:
        raise pytest.UsageError("unset DJANGO_SETTINGS_MODULE: the tests choose their own settings")
    if hasattr(config, "workerinput"):
        session.join(config.workerinput["workerid"])
    else:
        session.begin()
        if config.getoption("numprocesses", None):
            session.current().start_servers()
    # Loading the settings here lets pytest-django, whose own hook runs last, set Django up.
    assert settings.DATABASES
    # Not for workers to inherit: they must not load settings before they joined.
    del os.environ["DJANGO_SETTINGS_MODULE"]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what the run started; a worker only leaves."""
    if not hasattr(config, "workerinput"):
        session.end()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse the one way to flush tables: it would take the rows that migrations wrote.

    Files that keep whole clusters busy go first, so that the last minutes have both workers.
    """
    items.sort(key=lambda item: item.path.parent not in _LONG)
    for item in items:
        marker = item.get_closest_marker("django_db")
        if "transactional_db" in getattr(item, "fixturenames", ()) or (
            marker is not None and marker.kwargs.get("transaction")
        ):
            raise pytest.UsageError(
                f"{item.nodeid}: use the `database` fixture for tests that commit"
            )


@pytest.fixture(scope="session")
def django_db_setup() -> None:
    """The worker's own database exists and is migrated: tests marked django_db roll back in it."""
    session.current().worker_database()


@pytest.fixture
def database(django_db_blocker: session.Blocker) -> Iterator[str]:
    """A fresh, migrated database for one test that commits for real; its URL. Dropped
    afterwards.
    """
    with session.current().fresh_database(django_db_blocker) as url:
        yield url


@pytest.fixture(scope="module")
def module_database(django_db_blocker: session.Blocker) -> Iterator[str]:
    """The same for all tests of one module (never together with `database`)."""
    with session.current().fresh_database(django_db_blocker) as url:
        yield url


@pytest.fixture
def redis_url() -> str:
    """An empty Redis database of this worker."""
    return session.current().empty_redis()


@pytest.fixture
def process_environment(database: str) -> dict[str, str]:
    """The environment for child processes that are to share this test's database and home."""
    return session.current().process_environment(database)
