"""Several files written alike, one per drive, as far as a quorum of them goes along.

Here: doing the same step on every file, dropping those that fail or stay behind. Not here: what is
written (`coded_sink`, `staged_sink`).

Promise: a step returns when it has succeeded on every file still taken part, at least `quorum` of
them; with fewer it raises QuorumNotMet. A dropped file gets nothing more and is given up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from core.errors import QuorumNotMet, StoreError
from storage_nodes.stores.base import ShardFile

# Without a quorum after so long there will be none: a drive that neither works nor fails is broken.
STALL_S = 60.0

Step = Callable[[int, ShardFile], Awaitable[None]]


class Fanout:
    """The files of one segment by their index; None where there is no drive."""

    def __init__(
        self,
        files: Sequence[ShardFile | None],
        *,
        quorum: int,
        grace_s: float,
        on_bad: Callable[[int, str], None],
    ) -> None:
        self._files = dict(enumerate(files))
        self._quorum = quorum
        self._grace_s = grace_s
        self._on_bad = on_bad
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def live(self) -> list[int]:
        """Indexes of the files that took part in everything so far."""
        return [index for index, file in self._files.items() if file is not None]

    async def run(self, step: Step) -> None:
        """Do one step on every live file."""
        running: dict[asyncio.Task[None], int] = {}
        for index, file in self._files.items():
            if file is not None:
                running[asyncio.create_task(_run(step, index, file))] = index
        done = 0
        blame = ""
        try:
            while running:
                if done + len(running) < self._quorum:
                    raise QuorumNotMet(durable=done, needed=self._quorum)
                patience = self._grace_s if done >= self._quorum else STALL_S
                ready, _ = await asyncio.wait(
                    running, timeout=patience, return_when=asyncio.FIRST_COMPLETED
                )
                if not ready:
                    blame = "behind the others"
                    break
                for task in ready:
                    index = running.pop(task)
                    why = task.exception()
                    if why is None:
                        done += 1
                    elif isinstance(why, StoreError | OSError):
                        self._drop(index, str(why), None)
                    else:
                        raise why
        finally:
            for task, index in running.items():
                self._drop(index, blame, task)
        if done < self._quorum:
            raise QuorumNotMet(durable=done, needed=self._quorum)

    async def abandon(self) -> None:
        """Give up every file: nothing was published, or nobody will name it."""
        for index in self.live:
            self._drop(index, "", None)
        if self._leaving:
            await asyncio.wait(set(self._leaving))

    def _drop(self, index: int, why: str, busy: "asyncio.Task[None] | None") -> None:
        file, self._files[index] = self._files[index], None
        if why:
            self._on_bad(index, why)
        if file is not None:
            leaving = asyncio.create_task(_give_up(file, busy))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)


async def _run(step: Step, index: int, file: ShardFile) -> None:
    await step(index, file)


async def _give_up(file: ShardFile, busy: "asyncio.Task[None] | None") -> None:
    """Abandon a file, once what is under way on it has ended."""
    if busy is not None:
        await asyncio.wait([busy])
        if not busy.cancelled():
            busy.exception()
    try:
        await file.abandon()
    except (StoreError, OSError):
        return  # an unpublished file vanishes with its writer
