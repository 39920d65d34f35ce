"""Bodies on their way in: gathered or streamed, hashed, judged, made durable.

Here: the memory bodies may take, appending and streaming. Not here: digests and what the client
claimed of them (digests), segments themselves (storage_nodes), the commit (write, multipart).

Promise: a body below `inline_from` is complete and verified before its first byte enters a
segment; a larger one before its segments are finished. What was refused leaves nothing that could
be named. Memory: at most `memory_budget` of gathered bodies per process, beyond that unlinked
temporary files; of a streamed one two pieces.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from concurrent.futures import Executor
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from core import failpoints
from core.errors import (
    IncompleteBody,
    MissingContentLength,
    SegmentClosed,
    SlowDown,
)
from core.streams import SMALL, Body, Whole
from objects.digests import Hashing, verify_small
from objects.draft import Draft
from objects.segments import Buffer, Payload, Segments, Stored
from storage_nodes.packs import LARGEST_PACKED

RECEIVING = failpoints.declare(
    "put.receiving", point="C1", doc="Bytes of a body have been taken, none are durable."
)
DURABLE = failpoints.declare(
    "put.durable", point="C4", doc="A body's bytes are durable, nothing names them yet."
)
_ATTEMPTS = 5


class Budget:
    """Bytes of gathered bodies this process may hold."""

    __slots__ = ("_left",)

    def __init__(self, size_bytes: int) -> None:
        self._left = size_bytes

    def take(self, size: int) -> bool:
        if size > self._left:
            return False
        self._left -= size
        return True

    def give_back(self, size: int) -> None:
        self._left += size


class Intake:
    """How bodies of one process come in."""

    __slots__ = ("_budget", "_inline_from", "_spill", "segments", "threads")

    def __init__(
        self,
        segments: Segments,
        threads: Executor,
        *,
        inline_from: int,
        memory_budget: int,
        spill: Path,
    ) -> None:
        self.segments = segments
        self.threads = threads
        # Above what a pack takes, bodies are streamed even where they are not coded as they arrive.
        self._inline_from = min(inline_from, LARGEST_PACKED)
        self._budget = Budget(memory_budget)
        self._spill = spill

    async def take(self, body: Body, draft: Draft, *, policy: str, ack: str, name: UUID) -> Taken:
        """Receive a body and make it durable."""
        size = body.length
        if size is None:
            raise MissingContentLength()
        if size >= self._inline_from and size:
            return await self._stream(body, size, draft, policy, ack)
        if type(body) is Whole and size <= SMALL:
            content = body.content
            etag, checksum = verify_small(content, draft, body.trailer)
            RECEIVING.hit()
            taken = Taken(size, etag, checksum, content, self, policy, ack, name)
        else:
            taken = await self._gather(body, size, draft, policy, ack, name)
        if size:
            try:
                await taken.append()
            except BaseException:
                taken.close()
                raise
        return taken

    async def _gather(
        self, body: Body, size: int, draft: Draft, policy: str, ack: str, name: UUID
    ) -> Taken:
        hashing = Hashing(draft, self.threads)
        held = size if self._budget.take(size) else 0
        payload: list[Buffer] | BinaryIO = [] if held == size else self._temporary()
        taken = Taken(size, "", None, payload, self, policy, ack, name, held)
        try:
            received = 0
            while piece := await body.read():
                received += len(piece)
                await hashing.feed(piece)
                if isinstance(payload, list):
                    payload.append(piece)
                else:
                    await asyncio.get_running_loop().run_in_executor(
                        self.threads, payload.write, piece
                    )
                RECEIVING.hit()
            if received != size:
                raise IncompleteBody()
            taken.etag, taken.checksum = await hashing.verify(draft, body.trailer)
        except BaseException:
            taken.close()
            raise
        return taken

    async def _stream(self, body: Body, size: int, draft: Draft, policy: str, ack: str) -> Taken:
        hashing = Hashing(draft, self.threads)
        writer = await self.segments.write(policy, ack, size)
        try:
            received = 0
            while piece := await body.read():
                received += len(piece)
                await hashing.feed(piece)
                await writer.feed(piece)
                RECEIVING.hit()
            if received != size:
                raise IncompleteBody()
            etag, checksum = await hashing.verify(draft, body.trailer)
            stored = await writer.finish()
        except BaseException:
            await writer.abandon()
            raise
        DURABLE.hit()
        taken = Taken(size, etag, checksum, None, self, policy, ack, None)
        taken.stored = stored
        return taken

    def _temporary(self) -> BinaryIO:
        self._spill.mkdir(parents=True, exist_ok=True)
        fd, path = tempfile.mkstemp(dir=self._spill)
        os.unlink(path)
        return os.fdopen(fd, "w+b")

    def give_back(self, size: int) -> None:
        self._budget.give_back(size)


class Taken:
    """A durable body that nothing names yet. `close` when its commit's outcome is known."""

    __slots__ = (
        "_ack", "_held", "_intake", "_name", "_payload", "_policy", "checksum", "etag",
        "size", "stored",
    )  # fmt: skip

    def __init__(
        self,
        size: int,
        etag: str,
        checksum: dict[str, str] | None,
        payload: Payload | None,
        intake: Intake,
        policy: str,
        ack: str,
        name: UUID | None,
        held: int = 0,
    ) -> None:
        self.size = size
        self.etag = etag
        self.checksum = checksum
        self.stored: list[Stored] = []
        self._payload = payload
        self._intake = intake
        self._policy = policy
        self._ack = ack
        self._name = name
        self._held = held

    @property
    def extents(self) -> list[tuple[UUID, int, int | None, int, int]]:
        """The extents in the commit's form: segment, offset, record_size, skip, length."""
        return [(one.segment_id, one.offset, one.record_size, 0, one.length) for one in self.stored]

    async def append_again(self) -> None:
        """Append to another segment: no commit can name the one it was appended to."""
        for one in self.stored:
            self._intake.segments.refused(one.segment_id)
        await self.append()

    async def append(self) -> None:
        """Append to an open segment."""
        self._settle()
        assert self._payload is not None
        assert self._name is not None
        for _ in range(_ATTEMPTS):
            try:
                stored = await self._intake.segments.append(
                    self._policy, self._ack, self._name, self._payload
                )
            except SegmentClosed:
                continue
            self.stored = [stored]
            DURABLE.hit()
            return
        raise SlowDown()

    @property
    def may_append_again(self) -> bool:
        return self._payload is not None

    def close(self) -> None:
        """The commit has succeeded or failed: the segment's owner need not wait, memory is free."""
        self._settle()
        if self._held:
            self._intake.give_back(self._held)
            self._held = 0
        if self._payload is not None and not isinstance(self._payload, bytes | list):
            self._payload.close()
        self._payload = None

    def _settle(self) -> None:
        for one in self.stored:
            one.settle()
