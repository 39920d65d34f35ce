"""The lanes to PostgreSQL: rows, errors, and connections that are lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from core.config import Config, Database
from core.database import COMMIT, LOOKUP, MISC, Lanes
from core.errors import DatabaseUnavailable, UnknownOutcome

DIE = "select pg_terminate_backend(pg_backend_pid())"


def patient(url: str) -> Database:
    """Settings under which no time-out strikes, however slow the machine."""
    return Config.from_env(
        {
            "DATABASE_URL": url,
            "OBJSTORE_DATABASE_CONNECT_TIMEOUT_S": "120",
            "OBJSTORE_DATABASE_ANSWER_TIMEOUT_S": "600",
            "OBJSTORE_DATABASE_IDLE_TRANSACTION_S": "600",
        }
    ).database


@pytest.fixture
async def lanes(module_database: str) -> AsyncIterator[Lanes]:
    opened = Lanes(patient(module_database))
    yield opened
    await opened.close()


async def end_others(lanes: Lanes) -> None:
    """End every other connection to this database, as a restart of the server would."""
    await lanes.fetch(
        MISC,
        "select pg_terminate_backend(pid, 60000) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
        " and backend_type = 'client backend'",
    )


async def test_rows_come_as_tuples(lanes: Lanes) -> None:
    assert await lanes.fetch(LOOKUP, "select n, n * 2 from generate_series(1, 2) n") == [
        (1, 2),
        (2, 4),
    ]


async def test_parameters_are_passed(lanes: Lanes) -> None:
    assert await lanes.fetch(LOOKUP, "select %s::int[]", ([1, 2],)) == [([1, 2],)]


async def test_one_row_or_none(lanes: Lanes) -> None:
    assert await lanes.fetch_one(LOOKUP, "select 1") == (1,)
    assert await lanes.fetch_one(LOOKUP, "select 1 where false") is None


async def test_json_comes_decoded(lanes: Lanes) -> None:
    assert await lanes.fetch(LOOKUP, """select '{"a": [1, null]}'::jsonb""") == [
        ({"a": [1, None]},)
    ]


async def test_a_statement_without_rows_gives_none(lanes: Lanes) -> None:
    assert await lanes.fetch(MISC, "set application_name = 'test'") == []


async def test_an_error_of_the_server_is_raised_as_it_is(lanes: Lanes) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable):
        await lanes.fetch(COMMIT, "select * from nowhere")


async def test_a_lane_goes_on_after_an_error_of_the_server(lanes: Lanes) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        await lanes.fetch(COMMIT, "select 1 / 0")

    assert await lanes.fetch(COMMIT, "select 1") == [(1,)]


async def test_a_write_whose_connection_is_lost_is_unknown(lanes: Lanes) -> None:
    with pytest.raises(UnknownOutcome):
        await lanes.fetch(COMMIT, DIE)


async def test_a_read_whose_connection_is_lost_again_is_unavailable(lanes: Lanes) -> None:
    with pytest.raises(DatabaseUnavailable):
        await lanes.fetch(LOOKUP, DIE)


async def test_a_lane_goes_on_after_a_lost_connection(lanes: Lanes) -> None:
    with pytest.raises(UnknownOutcome):
        await lanes.fetch(COMMIT, DIE)

    assert await lanes.fetch(COMMIT, "select 1") == [(1,)]


async def test_a_read_on_a_connection_that_was_ended_is_tried_again(lanes: Lanes) -> None:
    await lanes.fetch(LOOKUP, "select 1")
    await end_others(lanes)

    assert await lanes.fetch(LOOKUP, "select 1") == [(1,)]


async def test_a_statement_declared_a_write_is_one(lanes: Lanes) -> None:
    with pytest.raises(UnknownOutcome):
        await lanes.fetch(MISC, DIE, writes=True)


async def test_more_callers_than_connections_wait_their_turn(lanes: Lanes) -> None:
    asked = [lanes.fetch(LOOKUP, "select %s::int", (n,)) for n in range(20)]

    assert await asyncio.gather(*asked) == [[(n,)] for n in range(20)]


async def test_a_caller_that_goes_away_leaves_its_lane_usable(module_database: str) -> None:
    lanes = Lanes(patient(module_database), lookup=1)
    gone = asyncio.ensure_future(lanes.fetch(LOOKUP, "select pg_sleep(600)"))
    waiting = asyncio.ensure_future(lanes.fetch(LOOKUP, "select 2"))
    await asyncio.sleep(0)
    gone.cancel()

    assert await waiting == [(2,)]
    await lanes.close()


async def test_a_transaction_is_kept_when_its_block_ends(lanes: Lanes) -> None:
    async with lanes.transaction() as connection:
        await connection.execute("create table kept (n int)")

    assert await lanes.fetch(MISC, "select count(*) from kept") == [(0,)]


async def test_a_transaction_is_undone_when_its_block_fails(lanes: Lanes) -> None:
    with pytest.raises(ZeroDivisionError):
        async with lanes.transaction() as connection:
            await connection.execute("create table undone (n int)")
            raise ZeroDivisionError

    with pytest.raises(psycopg.errors.UndefinedTable):
        await lanes.fetch(MISC, "select * from undone")


async def test_a_commit_whose_connection_is_lost_is_unknown(lanes: Lanes) -> None:
    with pytest.raises(UnknownOutcome):
        async with lanes.transaction(COMMIT) as connection:
            await connection.execute("select 1")
            await end_others(lanes)


async def test_a_transaction_whose_connection_is_lost_half_way_is_unknown(lanes: Lanes) -> None:
    with pytest.raises(UnknownOutcome):
        async with lanes.transaction(COMMIT) as connection:
            await end_others(lanes)
            await connection.execute("select 1")


async def test_a_transaction_on_a_connection_that_was_ended_is_unknown(lanes: Lanes) -> None:
    await lanes.fetch(COMMIT, "select 1")
    await end_others(lanes)

    with pytest.raises(UnknownOutcome):
        async with lanes.transaction(COMMIT):
            pytest.fail("nothing can be asked of it")


async def test_a_database_that_is_not_there_is_unavailable(module_database: str) -> None:
    lanes = Lanes(patient(module_database + "_of_nobody"))

    with pytest.raises(DatabaseUnavailable):
        await lanes.fetch(COMMIT, "select 1")


async def test_rows_without_columns_are_rows(lanes: Lanes) -> None:
    assert await lanes.fetch(LOOKUP, "select from generate_series(1, 2)") == [(), ()]
