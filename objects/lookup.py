"""Look-ups: the questions of concurrent requests, answered by one statement in one snapshot.

Here: batching, and turning a row of the answer into `Found`. Not here: the SQL (sql/lookup.sql),
what is remembered of keys and buckets (identities), any decision.

Promise: a question joins only a batch that has not been sent, so its answer holds everything
committed before it was asked; what is remembered is used only at the revisions the answer shows.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import orjson

from buckets.views import BucketView
from core import metrics
from core.coalesce import Coalescer
from core.database import LOOKUP, Lanes, Row
from objects.found import Found, Place, Question, VersionView, places_of
from objects.identities import Remembered
from tenants.principal import Caller

MAX_BATCH = 64
# What answers every question, what answers those about current versions, and what answers those
# about no version.
_LOOK_UP = b"SELECT * FROM look_up($1)"
_CURRENT = b"SELECT * FROM look_current($1)"
_REVISIONS = b"SELECT * FROM look_revisions($1)"
_PLACES = "SELECT look_places(%s)"
_STANDINGS = 10_000


class _Standing(NamedTuple):
    """What a name, a bucket and the revisions of a look-up come to."""

    revisions: Row
    caller: Caller | None
    bucket: BucketView | None
    decision: dict[str, Any]


class Lookups:
    """The look-ups of one process."""

    __slots__ = ("_asked", "_buckets", "_callers", "_lanes", "_standings")

    def __init__(
        self,
        lanes: Lanes,
        callers: Remembered[Caller],
        buckets: Remembered[BucketView],
        connections: int,
    ) -> None:
        self._lanes = lanes
        self._callers = callers
        self._buckets = buckets
        self._asked: Coalescer[Question, Row] = Coalescer(
            self._send, max_batch=MAX_BATCH, lanes=connections
        )
        # The last of each name and bucket: all would hold every state of a bucket's documents.
        self._standings: OrderedDict[tuple[str | None, str | None], _Standing] = OrderedDict()

    async def look(self, question: Question) -> Found:
        """What there is, as of now."""
        row = await self._asked.ask(question)
        standing = self._standings.get((question.access_key, question.bucket))
        if standing is None or standing.revisions != row[:6]:
            standing = await self._standing(question, row)
            if standing is None:
                return await self.look(question)
        else:
            self._callers.hit(standing.caller)
            self._buckets.hit(standing.bucket)
        is_there = len(row) > 6 and row[6] is not None and standing.bucket is not None
        version = VersionView(row[6:]) if is_there else None
        return Found(question, standing.caller, standing.bucket, version, standing.decision)

    async def places(self, version: VersionView) -> list[Place]:
        """Where the bytes of a version are now; empty when it is gone."""
        rows = await self._lanes.fetch(LOOKUP, _PLACES, (version.id,))
        return places_of(rows[0][0])

    async def drain(self) -> None:
        await self._asked.drain()

    async def _send(self, questions: list[Question]) -> list[Row]:
        metrics.lookup_batches.add()
        metrics.lookup_rows.add(by=len(questions))
        statement = _REVISIONS
        for question in questions:
            if question.version is not None:
                statement = _LOOK_UP
                break
            if question.want:
                statement = _CURRENT
        if statement is _REVISIONS:
            return await self._revisions(questions)
        asked = orjson.dumps([question.as_json() for question in questions])
        return await self._lanes.call(LOOKUP, statement, (asked,))

    async def _revisions(self, questions: list[Question]) -> list[Row]:
        """One row serves all who ask about the same name and bucket, and about no version."""
        asked: dict[tuple[str | None, str | None], tuple[int, Question]] = {}
        places = [
            asked.setdefault((each.access_key, each.bucket), (len(asked), each))[0]
            for each in questions
        ]
        rows = await self._lanes.call(
            LOOKUP, _REVISIONS, (orjson.dumps([each.as_json() for _, each in asked.values()]),)
        )
        return [rows[place] for place in places]

    async def _standing(self, question: Question, row: Row) -> _Standing | None:
        """Who asks and of what, remembered for those who ask the same at the same revisions; None
        when the bucket was deleted and made anew since: the row's version is of the old one.
        """
        caller: Caller | None = None
        bucket: BucketView | None = None
        principal: tuple[int, ...] = row[:3]
        house: tuple[int, ...] = row[4:6]
        if principal[0] is not None:
            caller = self._callers.known(question.access_key, principal)
            if caller is None:
                fresh = await self._callers.fresh(question.access_key)
                if fresh is not None:
                    principal, caller = fresh
        if row[3] is not None:
            bucket = self._buckets.known(question.bucket, house)
            if bucket is None:
                loaded = await self._buckets.fresh(question.bucket)
                if loaded is not None:
                    house, bucket = loaded
                    if str(bucket.id) != row[3]:
                        return None
        standing = _Standing(row[:6], caller, bucket, _decision(caller, principal, bucket, house))
        is_known = bucket is not None and (caller is not None or question.access_key is None)
        if is_known and principal == row[:3] and house == row[4:6]:
            self._standings[question.access_key, question.bucket] = standing
            if len(self._standings) > _STANDINGS:
                self._standings.popitem(last=False)
        return standing


def _decision(
    caller: Caller | None,
    principal: tuple[int, ...],
    bucket: BucketView | None,
    house: tuple[int, ...],
) -> dict[str, Any]:
    """What the commit re-checks. A batch recognises equal ones when they are one object."""
    if bucket is None:
        return {}
    decision = {
        "bucket": bucket.id,
        "bucket_revision": house[0],
        "owner_revision": house[1],
    }
    if caller is not None:
        decision.update(
            key=caller.key_id,
            key_revision=principal[0],
            user_revision=principal[1],
            tenant_revision=principal[2],
        )
    return decision
