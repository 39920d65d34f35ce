"""Many callers, one question: requests that wait together travel together.

A batch is sent when a lane is free, never by a timer, so one caller alone waits for nobody. A
request joins only a batch that has not been sent. Callers of several groups (tenants) are served in
turn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from core.errors import SlowDown

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Coalescer(Generic[Item, Answer]):
    """Collects items and sends them in batches over a few lanes.

    `send` answers with one element per item, in order; an element that is an exception is raised to
    its caller alone. When `send` itself raises, every caller of the batch gets that.
    """

    def __init__(
        self,
        send: Callable[[list[Item]], Awaitable[Sequence[Answer | BaseException]]],
        *,
        max_batch: int,
        lanes: int,
        max_waiting: int = 20_000,
    ) -> None:
        self._send = send
        self._max_batch = max_batch
        self._free = lanes
        self._max_waiting = max_waiting
        self._groups: dict[Hashable, deque[tuple[Item, asyncio.Future[Answer]]]] = {}
        self._waiting = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.batches = 0
        self.items = 0

    def ask(self, item: Item, group: Hashable = None) -> asyncio.Future[Answer]:
        """The answer to one item, to be awaited at once."""
        if self._waiting >= self._max_waiting:
            raise SlowDown()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        queue = self._groups.get(group)
        if queue is None:
            queue = self._groups[group] = deque()
        queue.append((item, future))
        self._waiting += 1
        if self._free:
            self._free -= 1
            task = loop.create_task(self._serve())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return future

    async def drain(self) -> None:
        """Wait until every batch begun has been answered."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self) -> None:
        """One lane: send batches until nothing waits."""
        try:
            while self._waiting:
                # A turn for all whose time has come as well: they join.
                await asyncio.sleep(0)
                if batch := self._take():
                    await self._carry(batch)
        finally:
            self._free += 1

    async def _carry(self, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        self.batches += 1
        self.items += len(batch)
        try:
            answers = await self._send([item for item, _ in batch])
            assert len(answers) == len(batch)
        except BaseException as why:
            _fail(batch, why)
            if not isinstance(why, Exception):
                raise
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue  # its caller went away
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    def _take(self) -> list[tuple[Item, asyncio.Future[Answer]]]:
        """The next batch: in turn one of each group, without callers that went away."""
        batch: list[tuple[Item, asyncio.Future[Answer]]] = []
        groups = self._groups
        while groups and len(batch) < self._max_batch:
            group = next(iter(groups))
            queue = groups.pop(group)
            wanted = 1 if groups else self._max_batch - len(batch)
            while queue and wanted:
                entry = queue.popleft()
                self._waiting -= 1
                if not entry[1].done():
                    batch.append(entry)
                    wanted -= 1
            if queue:
                groups[group] = queue  # at the end: its next turn comes after the others'
        return batch


def _fail(batch: list[tuple[Item, asyncio.Future[Answer]]], why: BaseException) -> None:
    for _, future in batch:
        if not future.done():
            if isinstance(why, asyncio.CancelledError):
                future.cancel()
            else:
                future.set_exception(why)
