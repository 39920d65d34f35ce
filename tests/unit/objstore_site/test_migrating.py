"""Migrations: a process killed amid them leaves a database that the next one can migrate."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
from django.db.migrations.loader import MigrationLoader

from objstore_site.local.postgres import create_database
from tests.support import session

NAME = "objstore_migrating"

# `manage.py migrate`, killed when it would note one migration: one of those whose tables Django
# has committed before, left to itself.
DYING = """
import os, signal, django
django.setup()
from django.core.management import call_command
from django.db.migrations.recorder import MigrationRecorder

noted = MigrationRecorder.record_applied

def record_applied(self, app, name):
    if (app, name) == ("auth", "0001_initial"):
        os.kill(os.getpid(), signal.SIGKILL)
    noted(self, app, name)

MigrationRecorder.record_applied = record_applied
call_command("migrate", verbosity=0)
"""


@pytest.fixture
def empty_database() -> Iterator[str]:
    run = session.current()
    run.start_servers()
    maintenance = run.postgres.url("postgres")
    name = f"{NAME}_{run.worker}"
    create_database(maintenance, name)
    yield run.postgres.url(name)
    with psycopg.connect(maintenance, autocommit=True) as connection:
        connection.execute(f'drop database "{name}" with (force)')


def _python(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = session.current().process_environment(url)
    environment["DJANGO_SETTINGS_MODULE"] = "objstore_site.settings"
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=session.REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_kill_between_a_migration_and_its_note_is_made_good_by_the_next_run(
    empty_database: str,
) -> None:
    killed = _python(empty_database, "-c", DYING)
    assert killed.returncode == -signal.SIGKILL, killed.stderr

    again = _python(empty_database, "manage.py", "migrate", "--verbosity", "0")

    assert again.returncode == 0, again.stderr
    pending = _python(empty_database, "manage.py", "migrate", "--check")
    assert pending.returncode == 0, pending.stdout


def test_no_migration_asks_for_less_than_one_transaction() -> None:
    loader = MigrationLoader(None)

    assert [str(one) for one in loader.disk_migrations.values() if not one.atomic] == []
