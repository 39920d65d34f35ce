"""What the load balancer asks: does this process answer, and could it serve?

`/health` says only that the process runs. `/ready` asks the database, Redis and the drives; its
answer is remembered for a second, so that asking often costs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from time import monotonic
from typing import Protocol

import psycopg
from redis import asyncio as redis
from redis.exceptions import RedisError

from core.database import Lanes
from core.errors import StoreError
from core.wording import counted
from storage_nodes.inventory import count_active

_REMEMBER_S = 1.0
_ANSWER_WITHIN_S = 5.0
# A write needs three copies on distinct drives to begin with; two of them must become durable.
MIN_DRIVES = 3


class HasLanes(Protocol):
    @property
    def lanes(self) -> Lanes: ...


class Readiness:
    """The answer to `/ready`, asked at most once a second."""

    def __init__(
        self, store: HasLanes, redis_url: str, *, answer_within_s: float = _ANSWER_WITHIN_S
    ) -> None:
        self._answer_within_s = answer_within_s
        self._store = store
        self._redis = redis.from_url(redis_url) if redis_url else None
        self._problems: list[str] = []
        self._asked_at = float("-inf")
        self._lock = asyncio.Lock()

    async def problems(self) -> list[str]:
        """Why this gateway cannot serve; empty when it can."""
        async with self._lock:
            if monotonic() - self._asked_at >= _REMEMBER_S:
                found = await asyncio.gather(self._database(), self._delivery())
                self._problems = [one for one in found if one]
                self._asked_at = monotonic()
        return self._problems

    async def close(self) -> None:
        if self._redis is not None:
            with contextlib.suppress(RedisError, OSError):
                await self._redis.aclose()

    async def _database(self) -> str:
        try:
            async with asyncio.timeout(self._answer_within_s):
                drives = await count_active(self._store.lanes)
        except (StoreError, psycopg.Error, TimeoutError):
            return "the database does not answer"
        if drives < MIN_DRIVES:
            return f"{counted(drives, 'drive')} active, {MIN_DRIVES} needed"
        return ""

    async def _delivery(self) -> str:
        if self._redis is None:
            return ""
        try:
            async with asyncio.timeout(self._answer_within_s):
                await self._redis.ping()
        except (RedisError, OSError, TimeoutError):
            return "Redis does not answer"
        return ""
