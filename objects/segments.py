"""What this app asks of storage_nodes: the part of its facade the verbs use.

A protocol, so that the verbs can be tried against segments kept in memory.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import BinaryIO, Protocol
from uuid import UUID

from storage_nodes.located import Located as Located
from storage_nodes.located import Stored as Stored

Buffer = bytes | bytearray | memoryview
Payload = bytes | list[Buffer] | BinaryIO
Refresh = Callable[[], Awaitable[Sequence[Located]]]


class Writer(Protocol):
    """Segments of one large body, written as its bytes arrive."""

    async def feed(self, piece: bytes) -> None: ...

    async def finish(self) -> list[Stored]: ...

    async def abandon(self) -> None: ...


class Stream(Protocol):
    """Bytes on their way out: pieces until an empty one."""

    async def next(self) -> bytes | bytearray | memoryview: ...

    async def close(self) -> None: ...


class Segments(Protocol):
    """Appending small bodies, writing large ones, reading both."""

    async def append(
        self, policy_name: str, ack: str, version_id: UUID, payload: Payload
    ) -> Stored: ...

    def refused(self, segment_id: UUID) -> None: ...

    async def write(self, policy_name: str, ack: str, size: int | None = None) -> Writer: ...

    async def read(self, located: Located, start: int, stop: int) -> bytes: ...

    def stream(
        self, locateds: Sequence[Located], start: int, stop: int, refresh: Refresh | None = None
    ) -> Stream: ...

    async def close(self) -> None: ...
