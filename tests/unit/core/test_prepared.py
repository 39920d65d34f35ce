"""The short way to PostgreSQL: prepared statements without cursors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from core.config import Config, Database
from core.database import COMMIT, LOOKUP, MISC, Lanes
from core.errors import DatabaseUnavailable, UnknownOutcome

DIE = b"select pg_terminate_backend(pg_backend_pid())"


def settings(url: str, *, answer_timeout_s: float) -> Database:
    """Settings under which nothing but an answer is waited for with impatience."""
    return Config.from_env(
        {
            "DATABASE_URL": url,
            "OBJSTORE_DATABASE_CONNECT_TIMEOUT_S": "120",
            "OBJSTORE_DATABASE_ANSWER_TIMEOUT_S": str(answer_timeout_s),
        }
    ).database


@pytest.fixture
async def lanes(module_database: str) -> AsyncIterator[Lanes]:
    opened = Lanes(settings(module_database, answer_timeout_s=600), lookup=1, commit=1)
    yield opened
    await opened.close()


async def test_parameters_are_text_and_rows_are_tuples(lanes: Lanes) -> None:
    rows = await lanes.call(
        LOOKUP, b"select $1::int + 1, $2::text, $3::int[]", [b"1", None, b"{4}"]
    )

    assert rows == [(2, None, [4])]


async def test_a_statement_is_prepared_once_and_used_again(lanes: Lanes) -> None:
    for number in (1, 2):
        assert await lanes.call(LOOKUP, b"select $1::int", [b"%d" % number]) == [(number,)]

    rows = await lanes.fetch(
        LOOKUP, "select count(*) from pg_prepared_statements where name ~ 'hot'"
    )
    assert rows == [(1,)]


async def test_a_statement_without_rows_gives_none(lanes: Lanes) -> None:
    assert await lanes.call(COMMIT, b"set application_name = 'x'", []) == []


async def test_more_than_the_socket_holds_goes_through_both_ways(lanes: Lanes) -> None:
    long = b"x" * 20_000_000

    assert await lanes.call(LOOKUP, b"select length($1), $1", [long]) == [
        (len(long), long.decode())
    ]


async def test_an_error_of_the_server_is_raised_and_the_lane_goes_on(lanes: Lanes) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        await lanes.call(COMMIT, b"select 1 / $1::int", [b"0"])
    with pytest.raises(psycopg.errors.SyntaxError):
        await lanes.call(COMMIT, b"nonsense", [])

    assert await lanes.call(COMMIT, b"select 1 / $1::int", [b"1"]) == [(1,)]


async def test_a_write_whose_connection_is_lost_is_unknown(lanes: Lanes) -> None:
    with pytest.raises(UnknownOutcome):
        await lanes.call(COMMIT, DIE, [])

    assert await lanes.call(COMMIT, b"select 1", []) == [(1,)]


async def test_a_read_whose_connection_is_lost_again_is_unavailable(lanes: Lanes) -> None:
    with pytest.raises(DatabaseUnavailable):
        await lanes.call(LOOKUP, DIE, [])


async def test_a_plan_of_an_older_schema_is_made_anew(lanes: Lanes) -> None:
    await lanes.fetch(MISC, "create table migrated (a int)", writes=True)
    assert await lanes.call(LOOKUP, b"select * from migrated", []) == []
    await lanes.fetch(MISC, "alter table migrated add b int", writes=True)
    await lanes.fetch(MISC, "insert into migrated values (1, 2)", writes=True)

    assert await lanes.call(LOOKUP, b"select * from migrated", []) == [(1, 2)]


async def test_a_caller_that_goes_away_leaves_its_lane_usable(lanes: Lanes) -> None:
    waiting = asyncio.create_task(lanes.call(LOOKUP, b"select pg_sleep(600)", []))
    while not await lanes.fetch(MISC, "select from pg_stat_activity where wait_event = 'PgSleep'"):
        assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert await lanes.call(LOOKUP, b"select 1", []) == [(1,)]


async def test_what_is_not_answered_in_time_is_given_up(module_database: str) -> None:
    lanes = Lanes(settings(module_database, answer_timeout_s=0.2))
    # The server's own time-out must not be the one that strikes.
    statement = b"select set_config('statement_timeout', '0', false), pg_sleep(60)"
    try:
        with pytest.raises((UnknownOutcome, psycopg.errors.QueryCanceled)):
            await lanes.call(COMMIT, statement, [])
    finally:
        await lanes.close()
