"""One large body written as its bytes arrive: units into segments, segments one after another.

Here: filling one unit while the one before is coded and written, going on to the next segment.
Not here: drives and files (`own_segments`), coding (`coded_sink`).

Promise: memory is two units, whatever the body's length; `finish` returns when everything is
durable, in the order of the bytes. A body that is abandoned leaves nothing that could be named.
"""

import asyncio

from storage_nodes.located import Stored
from storage_nodes.own_segments import UNIT_BYTES, OwnSegments, Sink
from storage_nodes.policy import Ack
from storage_nodes.stores.base import Buffer


class SegmentWriter:
    """Takes the pieces of one body in order, from one task."""

    def __init__(
        self, segments: OwnSegments, policy_name: str, ack: Ack, *, is_coded: bool = True
    ) -> None:
        self._segments = segments
        self._policy_name = policy_name
        self._ack: Ack = ack
        self._is_coded = is_coded
        self._sink: Sink | None = None
        self._begun: list[Sink] = []
        self._filling = memoryview(bytearray(0))
        self._spare = memoryview(bytearray(0))
        self._filled = 0
        self._sent = 0  # bytes given to the present sink
        self._writing: asyncio.Task[None] | None = None
        self._finishing: asyncio.Task[None] | None = None
        self._stored: list[Stored] = []

    async def feed(self, piece: Buffer) -> None:
        """The next bytes; free again when this returns."""
        view = memoryview(piece)
        while view:
            sink = self._sink or await self._begin()
            taken = view[: sink.unit_size - self._filled]
            self._filling[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            view = view[len(taken) :]
            if self._filled == sink.unit_size:
                await self._send()

    async def finish(self) -> list[Stored]:
        """Everything durable, in order. Settle each when the commit's outcome is known."""
        if self._filled:
            await self._send()
        if self._sink is not None:
            await self._end_segment()
        await self._finished()
        self._begun.clear()
        self._segments.finished(self._stored)
        return self._stored

    async def abandon(self) -> None:
        """Give everything up, also after an error or a finish whose bytes nobody wants."""
        for task in (self._writing, self._finishing):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
                if not task.cancelled():
                    task.exception()
        for sink in self._begun:
            await sink.abandon()
        begun = {sink.segment_id for sink in self._begun}
        begun.update(stored.segment_id for stored in self._stored)
        self._begun.clear()
        await self._segments.abandon(list(begun))

    async def _begin(self) -> Sink:
        sink = self._sink = await self._segments.begin(
            self._policy_name, self._ack, is_coded=self._is_coded
        )
        self._begun.append(sink)
        self._sent = 0
        if len(self._filling) < sink.unit_size:
            size = max(sink.unit_size, UNIT_BYTES)
            self._filling = memoryview(bytearray(size))
            self._spare = memoryview(bytearray(size))
        return sink

    async def _send(self) -> None:
        """Hand the unit to the sink, once it is done with the one before."""
        sink = self._sink
        assert sink is not None
        await self._written()
        self._filling, self._spare = self._spare, self._filling
        size, self._filled = self._filled, 0
        self._sent += size
        self._writing = asyncio.create_task(sink.write(self._spare, size))
        if self._sent >= sink.capacity:
            await self._end_segment()

    async def _end_segment(self) -> None:
        """Publish the present segment while the next begins; one at a time."""
        sink, self._sink = self._sink, None
        assert sink is not None
        await self._written()
        await self._finished()
        self._finishing = asyncio.create_task(self._publish(sink))

    async def _publish(self, sink: Sink) -> None:
        self._stored.append(await sink.finish())

    async def _written(self) -> None:
        task, self._writing = self._writing, None
        if task is not None:
            await task

    async def _finished(self) -> None:
        task, self._finishing = self._finishing, None
        if task is not None:
            await task
