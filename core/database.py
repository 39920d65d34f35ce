"""PostgreSQL for the data path: a few async connections per role, raw SQL, prepared, in batches.

Here: connections, their checking and replacement, and what a lost connection means. Not here: any
SQL (each part's queries), the ORM (configuration).

Promise: a statement of a writing role whose answer was lost raises `UnknownOutcome`, never a
failure; a reading one is tried once more on a fresh connection. An error the server itself reported
is raised as it is.
"""

from __future__ import annotations

import asyncio
import select
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import orjson
import psycopg
from psycopg.adapt import AdaptersMap
from psycopg.conninfo import make_conninfo
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.types.json import set_json_dumps, set_json_loads

from core.config import Database
from core.errors import DatabaseUnavailable, SlowDown, UnknownOutcome
from core.prepared import Prepared

LOOKUP, COMMIT, WAITING, MISC = "lookup", "commit", "waiting", "misc"
WRITING = frozenset({COMMIT, WAITING})

Row = tuple[Any, ...]
Parameters = Sequence[Any] | Mapping[str, Any] | None
_Connection = psycopg.AsyncConnection[Row]
_Work = Callable[["_Held"], Awaitable[list[Row]]]

# A connection idle longer than this is looked at before it is used again.
_TRUST_S = 1.0
_FATAL = ("57P01", "57P02", "57P03", "08")


def _dumps(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)


class Lanes:
    """The connections of one process, by role."""

    def __init__(
        self,
        settings: Database,
        *,
        lookup: int | None = None,
        commit: int | None = None,
        waiting: int | None = None,
        misc: int | None = None,
        name: str = "objstore",
    ) -> None:
        self._conninfo = _conninfo(settings, name)
        # The server gives up first, with an answer; this is for when it does not answer at all.
        self._timeout_s = settings.answer_timeout_s + 5
        self._lanes = {
            LOOKUP: _Lane(self._connect, lookup or settings.lookup_connections),
            COMMIT: _Lane(self._connect, commit or settings.commit_connections),
            WAITING: _Lane(self._connect, waiting or settings.waiting_connections),
            MISC: _Lane(self._connect, misc or settings.misc_connections),
        }

    async def fetch(
        self, role: str, sql: str, params: Parameters = None, *, writes: bool | None = None
    ) -> list[Row]:
        """All rows of one statement, in a transaction of its own. `writes` defaults to what the
        role does.
        """

        async def work(held: _Held) -> list[Row]:
            cursor = held.cursor
            async with asyncio.timeout(self._timeout_s):
                await cursor.execute(sql.encode(), params)
                # Not `description`: that describes each column, each time.
                result = cursor.pgresult
                if result is None or result.status != ExecStatus.TUPLES_OK:
                    return []
                return await cursor.fetchall()

        return await self._retried(role, work, role in WRITING if writes is None else writes)

    async def call(
        self,
        role: str,
        statement: bytes,
        parameters: Sequence[bytes | None],
        *,
        writes: bool | None = None,
    ) -> list[Row]:
        """The same for a statement with $1, $2, ... and parameters in text form: a third of the
        client's time, for what every request waits for.
        """

        async def work(held: _Held) -> list[Row]:
            try:
                return await held.prepared.run(statement, parameters, self._timeout_s)
            except (psycopg.errors.FeatureNotSupported, psycopg.errors.InvalidSqlStatementName):
                # The plan is of a schema that has been migrated since: nothing has run.
                held.is_broken = True
                raise _ConnectionLost(is_stale=True, is_unsent=True) from None

        return await self._retried(role, work, role in WRITING if writes is None else writes)

    async def fetch_one(
        self, role: str, sql: str, params: Parameters = None, *, writes: bool | None = None
    ) -> Row | None:
        rows = await self.fetch(role, sql, params, writes=writes)
        return rows[0] if rows else None

    @asynccontextmanager
    async def transaction(self, role: str = MISC) -> AsyncIterator[_Connection]:
        """Several statements in one transaction. One whose answer is lost raises `UnknownOutcome`,
        whichever it is: the block may hold its own COMMIT.
        """
        lane = self._lanes[role]
        try:
            held = await lane.take()
        except _ConnectionLost as lost:
            raise DatabaseUnavailable() from lost.__cause__
        try:
            connection = held.connection
            try:
                await connection.execute("begin")
                yield connection
            except BaseException as why:
                await _roll_back(connection)
                if isinstance(why, psycopg.OperationalError) and not _is_answer(why):
                    raise UnknownOutcome() from why
                raise
            try:
                async with asyncio.timeout(self._timeout_s):
                    await connection.execute("commit")
            except (psycopg.OperationalError, TimeoutError) as why:
                if _is_answer(why):
                    raise
                raise UnknownOutcome() from why
        finally:
            await lane.give_back(held)

    async def close(self) -> None:
        for lane in self._lanes.values():
            await lane.close()

    async def _retried(self, role: str, work: _Work, writes: bool) -> list[Row]:
        try:
            return await self._once(role, work, writes)
        except _ConnectionLost as lost:
            if not lost.is_unsent:
                if writes:
                    raise UnknownOutcome() from lost.__cause__
                if not lost.is_stale:
                    raise DatabaseUnavailable() from lost.__cause__
        try:
            return await self._once(role, work, writes)
        except _ConnectionLost as lost:
            if writes and not lost.is_unsent:
                raise UnknownOutcome() from lost.__cause__
            raise DatabaseUnavailable() from lost.__cause__

    async def _once(self, role: str, work: _Work, writes: bool) -> list[Row]:
        lane = self._lanes[role]
        held = await lane.take()
        held.was_cut_short = False
        try:
            rows = await work(held)
            if writes and held.was_cut_short:
                raise _ConnectionLost(is_stale=False, is_unsent=False)
            return rows
        except TimeoutError as why:
            held.is_broken = True
            raise _ConnectionLost(is_stale=False, is_unsent=False) from why
        except psycopg.OperationalError as why:
            if _is_answer(why):
                raise
            held.is_broken = True
            raise _ConnectionLost(is_stale=held.uses > 0, is_unsent=False) from why
        except asyncio.CancelledError:
            held.is_broken = True
            raise
        finally:
            held.uses += 1
            await lane.give_back(held)

    async def _connect(self) -> _Held:
        try:
            connection = await psycopg.AsyncConnection.connect(
                self._conninfo, autocommit=True, prepare_threshold=0
            )
        except psycopg.OperationalError as why:
            raise _ConnectionLost(is_stale=False, is_unsent=True) from why
        adapters: AdaptersMap = connection.adapters
        set_json_loads(orjson.loads, adapters)
        set_json_dumps(_dumps, adapters)
        return _Held(connection)


class _ConnectionLost(Exception):
    """The connection failed: before anything was sent, or with the answer unknown."""

    def __init__(self, *, is_stale: bool, is_unsent: bool) -> None:
        super().__init__()
        self.is_stale = is_stale
        self.is_unsent = is_unsent


class _Held:
    """One connection with the cursor all its statements go through."""

    __slots__ = (
        "connection", "cursor", "idle_since", "is_broken", "prepared", "uses", "was_cut_short",
    )  # fmt: skip

    def __init__(self, connection: _Connection) -> None:
        self.connection = connection
        self.cursor = connection.cursor()
        self.prepared = Prepared(connection)
        self.idle_since = monotonic()
        self.is_broken = False
        self.uses = 0
        self.was_cut_short = False
        connection.add_notice_handler(self._notice)

    def is_usable(self) -> bool:
        if self.is_broken or self.connection.closed:
            return False
        if monotonic() - self.idle_since < _TRUST_S:
            return True
        # An idle connection has nothing to say unless the server has closed it.
        poll = select.poll()
        poll.register(self.connection.pgconn.socket, select.POLLIN)
        return not poll.poll(0)

    def _notice(self, notice: psycopg.errors.Diagnostic) -> None:
        # "canceling wait for synchronous replication": committed here, on no standby yet.
        if notice.sqlstate == "01000" and "synchronous replication" in (
            notice.message_primary or ""
        ):
            self.was_cut_short = True


class _Lane:
    """A bounded set of connections; the one used last is used first."""

    def __init__(self, connect: Callable[[], Any], size: int) -> None:
        self._connect = connect
        self._room = size
        self._idle: list[_Held] = []
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._is_closed = False

    async def take(self) -> _Held:
        while not self._idle and not self._room:
            if len(self._waiters) >= 10_000:
                raise SlowDown()
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake()  # what was meant for this one goes to the next
                raise
        while self._idle:
            held = self._idle.pop()
            if held.is_usable():
                return held
            self._room += 1
            await _close(held.connection)
        self._room -= 1
        try:
            made: _Held = await self._connect()
        except BaseException:
            self._room += 1
            self._wake()
            raise
        return made

    async def give_back(self, held: _Held) -> None:
        status = held.connection.info.transaction_status
        if held.is_broken or self._is_closed or status != TransactionStatus.IDLE:
            self._room += 1
            self._wake()
            await _close(held.connection)
            return
        held.idle_since = monotonic()
        self._idle.append(held)
        self._wake()

    async def close(self) -> None:
        self._is_closed = True
        while self._idle:
            self._room += 1
            await _close(self._idle.pop().connection)

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


def _conninfo(settings: Database, name: str) -> str:
    options = (
        f"-c lock_timeout={int(settings.lock_timeout_s * 1000)}"
        f" -c idle_in_transaction_session_timeout={int(settings.idle_transaction_s * 1000)}"
        f" -c statement_timeout={int(settings.answer_timeout_s * 1000)}"
        # Plans are made once per connection, perhaps while a table is still small: they must be
        # right when it is not. Every statement of the data path is a probe of an index.
        " -c plan_cache_mode=force_generic_plan -c jit=off"
        " -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
    )
    return make_conninfo(
        settings.url,
        application_name=name,
        options=options,
        connect_timeout=max(1, int(settings.connect_timeout_s)),
        tcp_user_timeout=int(settings.answer_timeout_s * 1000),
    )


def _is_answer(why: BaseException) -> bool:
    """Whether the server itself said so, so that the outcome is known."""
    state: str | None = getattr(why, "sqlstate", None)
    return state is not None and not state.startswith(_FATAL)


async def _roll_back(connection: _Connection) -> None:
    try:
        await connection.execute("rollback")
    except psycopg.Error:
        await _close(connection)


async def _close(connection: _Connection) -> None:
    try:
        await connection.close()
    except psycopg.Error:
        return
