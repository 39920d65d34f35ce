"""Bodies in memory, and reading a body whole."""

from __future__ import annotations

import pytest

from core.errors import EntityTooLarge
from core.streams import PIECE, Whole, pieces, read_all


class Unannounced:
    """A body that does not say how long it is."""

    length = None
    trailer: dict[str, str] = {}

    def __init__(self, *parts: bytes) -> None:
        self._parts = list(parts)

    async def read(self) -> bytes:
        return self._parts.pop(0) if self._parts else b""


async def test_a_small_body_is_one_piece() -> None:
    assert [piece async for piece in pieces(Whole(b"abc"))] == [b"abc"]


async def test_an_empty_body_has_no_pieces() -> None:
    assert [piece async for piece in pieces(Whole(b""))] == []


async def test_a_large_body_comes_in_pieces_of_bounded_size() -> None:
    content = bytes(2 * PIECE + 5)

    found = [piece async for piece in pieces(Whole(content))]

    assert [len(piece) for piece in found] == [PIECE, PIECE, 5]


async def test_a_body_is_read_whole() -> None:
    assert await read_all(Unannounced(b"ab", b"c"), limit=3) == b"abc"


async def test_a_body_beyond_the_limit_is_refused() -> None:
    with pytest.raises(EntityTooLarge):
        await read_all(Unannounced(b"ab", b"cd"), limit=3)


async def test_an_announced_length_beyond_the_limit_is_refused_unread() -> None:
    with pytest.raises(EntityTooLarge):
        await read_all(Whole(b"abcd"), limit=3)
