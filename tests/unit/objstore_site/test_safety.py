"""A PostgreSQL that could lose acknowledged writes is refused at start."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from core.config import config
from core.errors import ConfigurationError
from objstore_site.safety import connections_needed, refuse_unsafe_database


def test_a_durable_database_is_accepted(database: str) -> None:
    refuse_unsafe_database(config())


@pytest.mark.parametrize(
    ("setting", "value"),
    [("synchronous_commit", "off"), ("default_transaction_isolation", "repeatable read")],
)
def test_a_setting_that_loses_writes_is_refused(database: str, setting: str, value: str) -> None:
    with psycopg.connect(database, autocommit=True) as direct:
        name = direct.info.dbname
        direct.execute(f"alter database \"{name}\" set {setting} = '{value}'")

    with pytest.raises(ConfigurationError, match=f"{setting} is {value}"):
        refuse_unsafe_database(config())


def test_too_few_connections_are_refused_with_the_sum(database: str) -> None:
    many = replace(config(), s3=replace(config().s3, workers=1000))

    with pytest.raises(ConfigurationError, match=f"up to {connections_needed(many)} connections"):
        refuse_unsafe_database(many)


def test_no_database_at_all_is_one_sentence(database: str) -> None:
    none = replace(config(), database=replace(config().database, url=""))

    with pytest.raises(ConfigurationError, match="there is no DATABASE_URL"):
        refuse_unsafe_database(none)


def test_a_database_that_does_not_answer_is_one_sentence(database: str) -> None:
    url = "postgresql://nobody@/none?host=/nonexistent"
    silent = replace(config(), database=replace(config().database, url=url))

    with pytest.raises(ConfigurationError, match="does not answer"):
        refuse_unsafe_database(silent)
