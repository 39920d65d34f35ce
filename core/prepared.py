"""One prepared statement on one connection, with as little between us and libpq as will do.

Here: preparing once, sending parameters already in text form, waiting for the answer, rows as
tuples. Not here: connections and what a lost one means (core.database). psycopg's own cursors do
all this for any statement; the two statements every request waits for are worth doing it for
themselves: an eighth of the client's time at one question per batch.

Promise: an error of the server is raised as psycopg's class for its SQLSTATE; a connection that is
lost raises `psycopg.OperationalError` without one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import errors
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus

Row = tuple[Any, ...]

_GOOD = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)


class Prepared:
    """The prepared statements of one connection, which nobody else uses meanwhile."""

    __slots__ = ("_connection", "_names", "_transformer")

    def __init__(self, connection: psycopg.AsyncConnection[Row]) -> None:
        self._connection = connection
        self._names: dict[bytes, bytes] = {}
        self._transformer = Transformer.from_context(connection)

    async def run(
        self, statement: bytes, parameters: Sequence[bytes | None], timeout_s: float
    ) -> list[Row]:
        """All rows of a statement with $1, $2, ...; parameters are in PostgreSQL's text form."""
        pgconn = self._connection.pgconn
        name = self._names.get(statement)
        if name is None:
            name = b"hot%d" % len(self._names)
            pgconn.send_prepare(name, statement)
            await self._answer(timeout_s)
            self._names[statement] = name
        pgconn.send_query_prepared(name, parameters)
        result = await self._answer(timeout_s)
        transformer = self._transformer
        transformer.set_pgresult(result)
        try:
            return transformer.load_rows(0, result.ntuples, tuple)
        finally:
            transformer.set_pgresult(None)

    async def _answer(self, timeout_s: float) -> Any:
        """The result of what was sent, once the server is ready for more."""
        pgconn = self._connection.pgconn
        loop = asyncio.get_running_loop()
        socket = pgconn.socket
        done: asyncio.Future[None] = loop.create_future()
        results: list[Any] = []

        def readable() -> None:
            try:
                pgconn.consume_input()
                while not pgconn.is_busy():
                    result = pgconn.get_result()
                    if result is None:
                        if not done.done():
                            done.set_result(None)
                        return
                    results.append(result)
            except psycopg.OperationalError as why:
                if not done.done():
                    done.set_exception(why)

        def late() -> None:
            if not done.done():
                done.set_exception(TimeoutError())

        loop.add_reader(socket, readable)
        timer = loop.call_later(timeout_s, late)
        try:
            while pgconn.flush() and not done.done():
                # What does not fit the socket goes when the server has read; what it says is read
                # meanwhile, so that neither waits for the other.
                await _writable_or(done, loop, socket)
            await done
        finally:
            timer.cancel()
            loop.remove_reader(socket)
        for result in results:
            if result.status not in _GOOD:
                raise errors.error_from_result(result)
        if not results:
            raise psycopg.OperationalError("the connection was lost")
        return results[-1]


async def _writable_or(
    done: asyncio.Future[None], loop: asyncio.AbstractEventLoop, socket: int
) -> None:
    """Wait until the socket takes more, or there is nothing to wait for any more."""
    free: asyncio.Future[None] = loop.create_future()
    loop.add_writer(socket, lambda: None if free.done() else free.set_result(None))
    try:
        await asyncio.wait([free, done], return_when=asyncio.FIRST_COMPLETED)
    finally:
        loop.remove_writer(socket)
        free.cancel()
