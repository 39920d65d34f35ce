"""Bodies: bytes on their way in.

Here: the interface every verb reads from, and the body that is already in memory.
Not here: where the bytes come from (s3.body, s3.chunked).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from core.errors import EntityTooLarge

PIECE = 1 << 20
# A body up to this size is read into memory before anything else is done with it.
SMALL = 64 * 1024


class Body(Protocol):
    """Bytes that can be read once, from the beginning.

    Promise: `read` returns the next piece (at most `PIECE` bytes) and `b""` at the end. When it has
    returned `b""`, the length, the framing, the chunk signatures and the trailer have been
    verified; when it raises, nothing of the body may be used. `trailer` is complete after the end.
    """

    @property
    def length(self) -> int | None:
        """How many bytes there will be, if that is known before they come."""

    @property
    def trailer(self) -> dict[str, str]:
        """The trailing headers, by lower-case name."""

    async def read(self) -> bytes:
        """The next piece, `b""` at the end."""


class Whole:
    """A body that is in memory already."""

    __slots__ = ("_given", "content", "length", "trailer")

    def __init__(self, content: bytes, trailer: dict[str, str] | None = None) -> None:
        self.content = content
        self.length: int | None = len(content)
        self.trailer: dict[str, str] = {} if trailer is None else trailer
        self._given = 0

    async def read(self) -> bytes:
        start = self._given
        if start >= len(self.content):
            return b""
        self._given = start + PIECE
        if start == 0 and len(self.content) <= PIECE:
            return self.content
        return self.content[start : start + PIECE]


EMPTY = Whole(b"")


async def pieces(body: Body) -> AsyncIterator[bytes]:
    """The pieces of a body, for callers off the hot path."""
    while piece := await body.read():
        yield piece


async def read_all(body: Body, limit: int) -> bytes:
    """The whole body; `EntityTooLarge` beyond `limit` bytes."""
    if isinstance(body, Whole):
        if len(body.content) > limit:
            raise EntityTooLarge(max_size_allowed=limit)
        return body.content
    if body.length is not None and body.length > limit:
        raise EntityTooLarge(max_size_allowed=limit)
    gathered: list[bytes] = []
    size = 0
    while piece := await body.read():
        size += len(piece)
        if size > limit:
            raise EntityTooLarge(max_size_allowed=limit)
        gathered.append(piece)
    return b"".join(gathered)
