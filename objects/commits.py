"""Commits: rows of concurrent requests, made true by one transaction per batch.

Here: batching, the waiting lane, what follows from an error or a lost answer. Not here: the
judgement (sql/commit.sql), what follows when a decision moved (Store.commit) or a segment was
closed (the verbs).

Promise: a row's outcome is `done` only when its transaction is known to have committed. A data
error fails its own row alone: the batch is rolled back and its rows are replayed one by one. When
the answer to a batch is lost, each row is looked up by its id under its key's lock; what is not
found is unknown, not failed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import psycopg

from core import failpoints, metrics
from core.coalesce import Coalescer
from core.database import COMMIT, MISC, WAITING, Lanes
from core.errors import (
    AccessDenied,
    FailpointRaised,
    InternalError,
    SlowDown,
    StoreError,
    UnknownOutcome,
)
from objects.found import Found
from storage_nodes.located import Stored

log = logging.getLogger("objects.commits")

MAX_BATCH = 64

IN_TRANSACTION = failpoints.declare(
    "commit.in_transaction", point="C5", doc="A batch has run, its COMMIT has not been sent."
)
UNANSWERED = failpoints.declare(
    "commit.unanswered", point="C6", doc="A batch's COMMIT has been sent, its answer not read."
)

# A lock was not had in time; the statement took too long.
_TOO_LATE = frozenset({"55P03", "57014"})
# A deadlock, a serialization failure.
_RIVALS = frozenset({"40P01", "40001"})

_COMMIT = b"SELECT * FROM commit_versions($1, $2, $3, $4, $5, $6, $7)"
_COMMIT_IN_STEPS = (
    b"SELECT * FROM commit_versions(%s::jsonb, %s::uuid[], %s::int[], %s::text[], %s::uuid[],"
    b" %s::int[], %s::bool)"
)
_SETTLE = "SELECT * FROM settle(%s::uuid, %s, %s::uuid, %s)"


class Row:
    """One change of one key, or of one upload.

    `fresh`: what this row's bytes were just written as; `shared`: segments whose bytes it refers to
    once more, with the layout epoch they were found under.
    """

    __slots__ = ("body", "conditions", "decision", "fresh", "key", "kind", "shared")

    def __init__(
        self,
        kind: str,
        found: Found,
        key: str,
        body: dict[str, Any],
        *,
        conditions: dict[str, Any] | None = None,
        fresh: list[Stored] | None = None,
        shared: dict[UUID, int] | None = None,
    ) -> None:
        self.kind = kind
        self.decision = found.decision
        self.key = key
        self.body = body
        self.conditions = conditions
        self.fresh = fresh
        self.shared = shared


class Outcome:
    """What became of a row. `outcome`: done, busy, moved, closed, precondition, absent, locked,
    ..."""

    __slots__ = ("is_marker", "is_null", "last_modified", "outcome", "seq", "version_id")

    def __init__(self, row: tuple[Any, ...]) -> None:
        self.outcome: str
        self.version_id: UUID | None
        self.seq: int | None
        self.last_modified: datetime
        self.is_null: bool
        self.is_marker: bool
        (
            self.outcome, self.version_id, self.seq, self.last_modified, self.is_null,
            self.is_marker,
        ) = row[:6]  # fmt: skip


class Commits:
    """The commit lanes of one process."""

    __slots__ = ("_admits", "_batches", "_lanes", "_waiting")

    def __init__(
        self, lanes: Lanes, *, connections: int, waiting: int, admits: bool = True
    ) -> None:
        self._lanes = lanes
        # False only in the campaign that must then lose data.
        self._admits = admits
        self._batches: Coalescer[Row, Outcome] = Coalescer(
            self._send, max_batch=MAX_BATCH, lanes=connections
        )
        self._waiting: Coalescer[Row, Outcome] = Coalescer(
            self._send_waiting, max_batch=1, lanes=waiting
        )

    async def commit(self, row: Row, group: UUID | None) -> Outcome:
        """Make the row true, or say why not. `group` (the tenant) is who takes turns with
        others."""
        outcome = await self._batches.ask(row, group)
        if outcome.outcome == "busy":
            outcome = await self._waiting.ask(row, group)
        return outcome

    async def drain(self) -> None:
        await self._batches.drain()
        await self._waiting.drain()

    async def _send(self, rows: list[Row]) -> list[Outcome | BaseException]:
        if len(rows) == 1:
            return [await self._alone(rows[0], COMMIT)]
        try:
            return list(await self._transact(COMMIT, rows))
        except UnknownOutcome:
            return [await self._settle(row) for row in rows]
        except psycopg.Error as why:
            if why.sqlstate in _TOO_LATE:
                # Each of them would wait as long again.
                return [SlowDown() for _ in rows]
            # One row's error has rolled back all of them.
            return [await self._alone(row, COMMIT) for row in rows]
        except _Unwritable:
            return [await self._alone(row, COMMIT) for row in rows]

    async def _send_waiting(self, rows: list[Row]) -> list[Outcome | BaseException]:
        return [await self._alone(row, WAITING) for row in rows]

    async def _alone(self, row: Row, role: str) -> Outcome | BaseException:
        try:
            return (await self._transact(role, [row]))[0]
        except UnknownOutcome:
            return await self._settle(row)
        except psycopg.Error as why:
            return _refusal(why)
        except _Unwritable as why:
            log.error("a commit cannot be written down", extra={"key": row.key, "why": str(why)})
            return InternalError()
        except StoreError as why:
            return why

    async def _transact(self, role: str, rows: list[Row]) -> list[Outcome]:
        try:
            parameters = _parameters(rows, admits=self._admits, waits=role == WAITING)
        except TypeError as why:
            raise _Unwritable(str(why)) from why
        # The verbs' own failpoints look at the control file on every request: these two need not.
        if IN_TRANSACTION.arming is None and UNANSWERED.arming is None:
            answer = await self._lanes.call(role, _COMMIT, parameters)
        else:
            answer = await self._step_by_step(role, parameters)
        metrics.commit_batches.add()
        metrics.commit_rows.add(by=len(rows))
        return [Outcome(one) for one in answer]

    async def _step_by_step(self, role: str, parameters: list[bytes]) -> list[tuple[Any, ...]]:
        """The same transaction with a seam before its COMMIT and one before the answer to it."""
        async with self._lanes.transaction(role) as connection:
            cursor = await connection.execute(
                _COMMIT_IN_STEPS, [one.decode() for one in parameters]
            )
            answer = await cursor.fetchall()
            await IN_TRANSACTION.reach()
            committing = asyncio.ensure_future(connection.execute("COMMIT"))
            await asyncio.sleep(0.001)  # the loop puts it on the wire
            try:
                await UNANSWERED.reach()
            except FailpointRaised as lost:
                raise UnknownOutcome() from lost
            finally:
                await committing
        return answer

    async def _settle(self, row: Row) -> Outcome | BaseException:
        """What became of a row whose answer was lost: its id tells, once its key's lock is had."""
        metrics.commit_unknown.add()
        sought = row.body.get("id")
        if sought is None:
            return UnknownOutcome()
        try:
            found = await self._lanes.fetch(
                MISC,
                _SETTLE,
                (row.body["bucket_id"], row.key, sought, row.body.get("upload_id")),
            )
        except (psycopg.Error, StoreError):
            return UnknownOutcome()
        return Outcome(found[0]) if found else UnknownOutcome()


class _Unwritable(Exception):
    """A row holds what JSON cannot say; nothing was sent."""


def _parameters(rows: list[Row], *, admits: bool, waits: bool) -> list[bytes]:
    """A batch as the commit function takes it, in PostgreSQL's text form."""
    decisions: dict[int, int] = {}
    listed: list[dict[str, Any]] = []
    seen: set[tuple[UUID, str]] = set()
    fresh: dict[UUID, Stored] = {}
    shared: set[tuple[UUID, int]] = set()
    items = []
    bodies = []
    for row in rows:
        identity = id(row.decision)
        place = decisions.get(identity)
        if place is None:
            place = decisions[identity] = len(listed)
            listed.append(row.decision)
        item: dict[str, Any] = {"kind": row.kind, "decision": place}
        if row.conditions is not None:
            item["conditions"] = row.conditions
        key = (row.body["bucket_id"], row.key)
        if key in seen:
            item["repeated"] = True
        seen.add(key)
        if row.fresh:
            own = [stored.segment_id for stored in row.fresh if stored.kind == "writing"]
            if own:
                item["stored"] = own
            if admits:
                fresh.update((stored.segment_id, stored) for stored in row.fresh)
        if row.shared:
            shared.update(row.shared.items())
        items.append(item)
        bodies.append(row.body)
    return [
        orjson.dumps({"decisions": listed, "rows": items, "bodies": bodies}),
        _array(segment.hex for segment in fresh),
        _array(str(stored.epoch) for stored in fresh.values()),
        _array(stored.kind for stored in fresh.values()),
        _array(segment.hex for segment, _ in shared),
        _array(str(epoch) for _, epoch in shared),
        b"t" if waits else b"f",
    ]


def _array(items: Iterable[str]) -> bytes:
    """An array of words that need no quotes."""
    return f"{{{','.join(items)}}}".encode()


def _refusal(why: psycopg.Error) -> StoreError:
    """The error of a row the database refused while it was alone."""
    if why.sqlstate in _TOO_LATE or why.sqlstate in _RIVALS:
        return SlowDown()
    if getattr(why.diag, "constraint_name", None) == "lock":
        return AccessDenied()
    refused = InternalError()
    refused.__cause__ = why
    return refused
