"""What reads noticed: shards that are gone or do not verify, told to the database once each.

A read never waits for it, and a database that does not answer loses nothing: the next read of the
shard notices again.
"""

import asyncio
import logging
from typing import Literal, Protocol
from uuid import UUID

import psycopg

from core import clock, metrics
from core.errors import StoreError

log = logging.getLogger(__name__)

# The same shard is not reported again for so long; it is read around meanwhile.
QUIET_S = 10.0
LIMIT = 4096
# One that was merely slower than the others is asked again sooner.
SLOW_S = 1.0

State = Literal["missing", "corrupt"]


class Rows(Protocol):
    async def noticed(self, segment_id: UUID, epoch: int, index: int, state: str) -> None: ...


class Damage:
    """The shards this process has met broken lately."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._until: dict[tuple[UUID, int, int], float] = {}
        self._telling: set[asyncio.Task[None]] = set()

    def is_known(self, segment_id: UUID, epoch: int, index: int) -> bool:
        """Was it found broken a moment ago? Then it is not worth another try."""
        if not self._until:
            return False
        return self._until.get((segment_id, epoch, index), 0.0) > clock.monotonic()

    def pass_over(self, segment_id: UUID, epoch: int, index: int, for_s: float = QUIET_S) -> None:
        """Its drive does not answer: not the shard's fault, but others are quicker for a while."""
        if len(self._until) >= LIMIT:
            self._until.clear()
        self._until[segment_id, epoch, index] = clock.monotonic() + for_s

    def noticed(self, segment_id: UUID, epoch: int, index: int, state: State) -> None:
        """Remember it, and owe a repair."""
        if self.is_known(segment_id, epoch, index):
            return
        self.pass_over(segment_id, epoch, index)
        metrics.shards_noticed.add((state,))
        log.warning("shard %s.%d.%d is %s", segment_id.hex, epoch, index, state)
        task = asyncio.create_task(self._tell(segment_id, epoch, index, state))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def close(self) -> None:
        """Wait until everything has been told."""
        while self._telling:
            await asyncio.wait(set(self._telling))

    async def _tell(self, segment_id: UUID, epoch: int, index: int, state: State) -> None:
        try:
            await self._rows.noticed(segment_id, epoch, index, state)
        except (StoreError, psycopg.Error) as why:
            self._until.pop((segment_id, epoch, index), None)
            log.warning("damage of segment %s could not be recorded: %s", segment_id, why)
